"""The one thing pyproject.toml cannot say stably: the optional native library."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        # A plain shared object, loaded with ctypes. `optional`: without a compiler the numpy code does the work.
        Extension(
            "kronborg._native",
            sources=["host/kronborg/native/decoder.cpp", "host/kronborg/native/byte_decoder.cpp"],
            depends=["host/kronborg/native/graph.h", "host/kronborg/native/byte_rows.inc"],
            language="c++",
            extra_compile_args=["-std=c++17", "-O3"],
            optional=True,
        )
    ]
)
