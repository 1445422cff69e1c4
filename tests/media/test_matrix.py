"""Every source in every format: each frame once, in order, unchanged, at its time; files that decode without a word."""

import pytest

from matrix import witness
from matrix.frames import Frame
from matrix.messages import MESSAGES
from matrix.recording import Recording, record
from matrix.sources import FORMATS, SOURCES

# A millisecond each for rounding at the publisher and in the file; MP4 lays AAC on its sample clock (docs/media.md).
TOLERANCE_MS = 2.1

def origin(frames: list[Frame]) -> float:
    """The presentation time that all others are measured from: the first picture's, else the first sound's."""
    first = next((f for f in frames if f.kind == "v"), frames[0])
    return first.ms + first.cts


def compare(expected: list[Frame], found: list[Frame], shift: float) -> None:
    """Every frame of each track once, in order, unchanged and at its time."""
    base, zero = origin(expected), origin(found)
    away = {"v": 0.0, "a": shift if any(f.kind == "v" for f in expected) else 0.0}
    for kind in sorted({f.kind for f in expected} | {f.kind for f in found}):
        want, got = [f for f in expected if f.kind == kind], [f for f in found if f.kind == kind]
        if [f.data for f in want] != [f.data for f in got]:
            places = {}
            for n, frame in enumerate(want):
                places.setdefault(frame.data, []).append(n)
            order = [places.get(f.data, [-1])[0] for f in got]
            wrong = next((n for n, (a, b) in enumerate(zip(want, got)) if a.data != b.data), min(len(want), len(got)))
            unknown = order.count(-1)
            raise AssertionError(f"{kind}: {len(want)} frames sent, {len(got)} recorded, {unknown} of them unknown; first difference at {wrong}, there source frames {order[wrong : wrong + 5]}")
        assert [f.key for f in want] == [f.key for f in got], f"{kind}: key flags"
        times = [(n, w.ms + w.cts - base, round(g.ms + g.cts - zero + away[kind], 2)) for n, (w, g) in enumerate(zip(want, got, strict=True))]
        late = [(n, sent, seen) for n, sent, seen in times if abs(sent - seen) > TOLERANCE_MS]
        assert not late, f"{kind}: {len(late)} of {len(want)} at the wrong time (frame, sent, recorded): {late[:4]}"
        backward = [n for n in range(1, len(got)) if got[n].ms <= got[n - 1].ms - 0.01]
        assert not backward, f"{kind}: decoding times go back at {backward[:4]}"


def take(rest: dict[str, list[Frame]], found: list[Frame]) -> list[Frame]:
    """What a file should hold: of each track, as many of the frames still to come as it has."""
    taken = []
    for kind in {frame.kind for frame in found}:
        count = sum(frame.kind == kind for frame in found)
        taken += rest[kind][:count]
        del rest[kind][:count]
    return sorted(taken, key=lambda frame: (frame.ms, frame.kind))


def begins_with_a_key(frames: list[Frame], where: str) -> None:
    """A file or slice without its key frame shows nothing until the next one."""
    first = next((frame for frame in frames if frame.kind == "v"), None)
    assert first is None or first.key, f"{where} begins in the midst of a group of pictures"


def check(recording: Recording, form: str) -> None:
    """One format of a recording, whole and in its slices."""
    source = recording.source
    expected, noise = source.frames(), source.noise
    rest = {kind: [frame for frame in expected if frame.kind == kind] for kind in "va"}
    seconds, slices, breaks = 0.0, 0, 0
    for key in recording.keys.get(form, []):
        whole, listing, parts = recording.media(form, key)
        found = witness.frames(whole, noise)
        witness.decodes(whole, noise)
        begins_with_a_key(found, key)
        want = take(rest, found)
        # ffmpeg shows the pictures of a fragmented file later by its most negative composition offset (ISO/IEC 14496-12, 8.8.8,
        # has no such shift; files that ffmpeg fragments itself show it as well).
        shift = -min(0, *(f.cts for f in expected)) if form == "cmaf" else 0
        compare(want, found, shift)
        if listing is None:
            continue
        for part in parts:
            if form == "m3u8":
                begins_with_a_key(witness.frames(part, noise), part.name)
        witness.decodes(recording.folder / f"{form}.m3u8", noise)
        assert listing.ended
        breaks += sum(segment.discontinuity for segment in listing.segments)
        seconds += listing.duration
        slices += len(parts)
    left = {kind: len(frames) for kind, frames in rest.items() if frames}
    assert not left or not source.count(form), f"frames that no file holds: {left}"
    assert breaks == source.breaks.get(form, 0), "EXT-X-DISCONTINUITY"
    if slices:
        span = max(f.ms for f in expected) - min(f.ms for f in expected) + source.overlap * 1000
        assert seconds == pytest.approx(span / 1000, abs=0.1), "the playlists' duration"
        assert slices >= 2, "the clip is long enough for an edge between slices"


ALL = SOURCES | MESSAGES


@pytest.mark.parametrize("name", ALL)
def test_every_frame(stage, tmp_path, name):
    folder = tmp_path.resolve()
    recording = record(stage, ALL[name](folder), folder)
    wrong = []
    for form in FORMATS:
        try:
            check(recording, form)
        except AssertionError as error:
            wrong.append(f"{form}: {error}")
    assert not wrong, "\n".join(wrong)
