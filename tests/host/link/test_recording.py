import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.errors import InputError
from kronborg.link.recording import read, read_symbols, write

SAMPLES = np.array([0, 1, -1, 32767, -32768, 300], np.int16)


def one_line(error: InputError) -> None:
    assert "\n" not in str(error)


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    path = tmp_path / "frame.sigmf-meta"
    write(path, SAMPLES, 1e9, {"cvqkd:shot_noise_recording": "vacuum-1.a"})
    return path


def change(path: Path, **fields: Any) -> None:
    whole = json.loads(path.read_text())
    whole["global"].update({name.replace("__", ":"): value for name, value in fields.items()})
    path.write_text(json.dumps(whole))


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read(path)
    one_line(caught.value)


def test_reads_back_what_was_written(meta: Path) -> None:
    recording = read(meta)
    assert recording.samples.dtype == np.int16
    assert np.array_equal(recording.samples, SAMPLES)
    assert recording.sample_rate_hz == 1e9
    assert recording.metadata["cvqkd:shot_noise_recording"] == "vacuum-1.a"


def test_samples_are_little_endian_on_disk(meta: Path) -> None:
    assert meta.with_suffix(".sigmf-data").read_bytes() == b"\0\0\1\0\xff\xff\xff\x7f\0\x80\x2c\1"


def test_finds_the_recording_beside_it_that_a_field_names(meta: Path) -> None:
    write(meta.with_name("vacuum-1.a.sigmf-meta"), SAMPLES[:2], 5e8, {})
    assert np.array_equal(read(meta).neighbour("cvqkd:shot_noise_recording").samples, SAMPLES[:2])


@pytest.mark.parametrize(
    "name",
    ["../frame", "deeper/frame", "/frame", "..", ".", ".hidden", "", "a\0b", "\ud800", "a\nb", 3, None, ["frame"]],
)
def test_refuses_names_that_are_no_plain_file_names(meta: Path, name: object) -> None:
    inner = meta.parent / "inner"
    inner.mkdir()
    inside = inner / meta.name
    write(inside, SAMPLES, 1e9, {"cvqkd:shot_noise_recording": name})
    (inner / "deeper").mkdir()
    write(inner / "deeper" / meta.name, SAMPLES, 1e9, {})  # so is ../frame: only the name is wrong
    with pytest.raises(InputError, match=r"not a plain file name|names no recording") as caught:
        read(inside).neighbour("cvqkd:shot_noise_recording")
    one_line(caught.value)


def test_refuses_names_that_no_file_can_have(meta: Path) -> None:
    change(meta, cvqkd__shot_noise_recording="x" * 5000)
    with pytest.raises(InputError, match="name too long"):
        read(meta).neighbour("cvqkd:shot_noise_recording")


def test_says_which_field_should_have_named_a_recording(meta: Path) -> None:
    with pytest.raises(InputError, match="cvqkd:electronic_noise_recording"):
        read(meta).neighbour("cvqkd:electronic_noise_recording")


@pytest.mark.parametrize("datatype", ["ci16_le", "ri16_be", "rf32_le", "", None, 7, ["ri16_le"]])
def test_refuses_other_sample_types(meta: Path, datatype: object) -> None:
    change(meta, core__datatype=datatype)
    refused(meta, "only real ones, 'ri16_le'")


@pytest.mark.parametrize(
    "rate", [0, -1e9, 1e-300, "1e9", None, True, float("nan"), float("inf"), 10**400, [1e9], {}], ids=str
)
def test_refuses_sample_rates_that_cannot_be(meta: Path, rate: object) -> None:
    change(meta, core__sample_rate=rate)
    refused(meta, "no usable core:sample_rate")


def test_refuses_several_channels_in_one_file(meta: Path) -> None:
    change(meta, core__num_channels=2)
    refused(meta, "several channels")


@pytest.mark.parametrize("size", [0, 1, 11])
def test_refuses_data_that_are_no_whole_samples(meta: Path, size: int) -> None:
    meta.with_suffix(".sigmf-data").write_bytes(bytes(size))
    refused(meta, f"{size} bytes.*cut short")


def test_refuses_missing_files(meta: Path) -> None:
    meta.with_suffix(".sigmf-data").unlink()
    refused(meta, r"frame\.sigmf-data: No such file")
    meta.unlink()
    refused(meta, r"frame\.sigmf-meta: No such file")
    refused(meta.with_suffix(".json"), "must end in .sigmf-meta")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b"[]", "no 'global'"),
        (b'{"global": []}', "no 'global'"),
        (b'{"global": {}}', "samples of type"),
        (b" " * (1 << 20) + b"{}", "larger than metadata"),
    ],
    ids=range(9),
)
def test_refuses_what_is_not_sigmf(meta: Path, text: bytes, match: str) -> None:
    meta.write_bytes(text)
    refused(meta, match)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("ri16_le"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {"global": st.fixed_dictionaries({"core:datatype": ANYTHING, "core:sample_rate": ANYTHING}) | ANYTHING}
    ).map(lambda whole: json.dumps(whole).encode()),
    st.binary(max_size=7),
)
def test_any_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, meta: bytes, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.sigmf-meta"
    path.write_bytes(meta)
    path.with_suffix(".sigmf-data").write_bytes(data)
    try:
        recording = read(path)
    except InputError as error:
        one_line(error)
    else:
        assert recording.samples.tobytes() == data
        assert recording.sample_rate_hz >= 1


def npy(symbols: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, symbols)
    return file.getvalue()


SYMBOLS = np.array([1 + 2j, -0.5j, 3], np.complex64)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, ">c8"])
def test_reads_symbols_of_any_complex_type(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "alice.npy"
    path.write_bytes(npy(SYMBOLS.astype(dtype)))
    symbols = read_symbols(path)
    assert symbols.dtype == np.complex128
    assert np.array_equal(symbols, SYMBOLS)


class Trap:
    """Unpickling it would leave a mark."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("sprung"),))


def _archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, SYMBOLS)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (npy(SYMBOLS)[:-1], "cut short"),
        (npy(SYMBOLS)[:40], "cut short"),
        (b"", "not a .npy file"),
        (_archive(), "not a .npy file"),
        (pickle.dumps(Trap()), "not a .npy file"),
        (npy(np.array([Trap()], object)), "not a .npy file"),
        (npy(SYMBOLS).replace(b"(3,)", b"(9**9,)"), "not a .npy file"),
        (npy(SYMBOLS.real), "one row of complex symbols"),
        (npy(SYMBOLS[None]), "one row of complex symbols"),
        (npy(SYMBOLS[0]), "one row of complex symbols"),
        (npy(SYMBOLS[:0]), "no symbols"),
        (npy(SYMBOLS * 0), "no symbols"),
        (npy(SYMBOLS * np.nan), "not finite"),
        (npy(np.array([1, complex(0, np.inf)])), "not finite"),
    ],
    ids=range(14),
)
def test_refuses_other_files_for_symbols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("alice.npy").write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        read_symbols(Path("alice.npy"))
    one_line(caught.value)
    assert not Path("sprung").exists()


def test_says_that_the_file_of_symbols_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_symbols(tmp_path / "alice.npy")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_files_of_symbols_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(npy(SYMBOLS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "broken.npy"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        symbols = read_symbols(path)
    except InputError as error:
        one_line(error)
    else:
        assert symbols.ndim == 1
        assert np.all(np.isfinite(symbols))
