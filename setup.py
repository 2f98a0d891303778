"""The one thing pyproject.toml cannot say stably: the optional native library."""

from setuptools import Extension, setup

NATIVE = "host/kronborg/native"

setup(
    ext_modules=[
        # A plain shared object, loaded with ctypes. `optional`: without a compiler the numpy code does the work.
        Extension(
            "kronborg._native",
            sources=[f"{NATIVE}/{name}.cpp" for name in ("decoder", "byte_decoder", "toeplitz", "moments")],
            depends=[f"{NATIVE}/{name}" for name in ("graph.h", "processor.h", "byte_rows.inc", "additive_fft.inc")],
            language="c++",
            extra_compile_args=["-std=c++17", "-O3"],
            optional=True,
        )
    ]
)
