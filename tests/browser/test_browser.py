"""Every kind of file in a browser: its time advances to the end, it can be entered anywhere, and nothing is an error.

MP4 files are played by the browser itself, playlists by hls.js, FLV files by mpegts.js.
"""

import pytest
from matrix.recording import record
from matrix.sources import FORMATS, SOURCES

ROWS = (
    "h264_aac",
    "h264_bframes_aac",
    "h264_mp3",
    "audio_only",
    "video_only",
    "late_sound",
    "sound_first",
    "long_groups",
    "resolution",
    "back_the_same",
    "back_with_size",
    "back_with_sound",
    "back_with_codec",
    "codec_change",
    "aac_change",
    "aac_change_in_group",
    "picture_joins",
    "announced_picture_joins",
    "sound_joins",
    "picture_lost",
    "sound_lost",
)
# Chromium decodes H.265 by hardware alone.
HEVC = {("back_with_codec", 1), ("codec_change", 1)}
# A player that has both tracks in one buffer can be entered where both are there.
BEGINS = {("late_sound", "flv"): 3.2}
# Where the picture's width changes, with what it is before and after; one file with both, or one of each.
WIDTHS = {"resolution": (6.0, 320, 160), "back_with_size": (6.0, 320, 160)}


def width_at(row: str, files: int, number: int, at: float) -> int | None:
    """The width that the picture should have at a time of a file."""
    if row not in WIDTHS:
        return None
    change, before, after = WIDTHS[row]
    late = number > 0 if files > 1 else at >= change
    return after if late else before


def wrong(row: str, files: int, number: int, report: dict) -> list[str]:
    """What a report tells of a file that should play."""
    said = list(report["errors"])
    if not report.get("ended") and (not report["duration"] or report["duration"] - report["time"] > 0.1):
        return said + [f"stands at {report['time']} of {report['duration']}, buffered {report['buffered']}"]
    if abs(report["time"] - report["duration"]) > 0.3:
        said.append(f"ends at {report['time']} of {report['duration']}")
    for seek in report["seeks"]:
        # Where only one track is there yet, a player may go to where both are.
        begins = seek["buffered"][0][0] if seek["buffered"] else 0
        if not seek["moved"] or abs(seek["from"] - max(seek["at"], begins)) > 0.5:
            said.append(f"entered at {seek['at']} it stands at {seek['from']}, buffered {seek['buffered']}")
            continue
        width = width_at(row, files, number, seek["from"])
        if width is not None and seek["width"] != width:
            said.append(f"at {seek['from']} the picture is {seek['width']} wide, not {width}")
    return said


@pytest.mark.parametrize("row", ROWS)
def test_a_browser_plays(stage, tmp_path, cinema, row):
    folder = tmp_path.resolve()
    recording = record(stage, SOURCES[row](folder), folder)
    stage.s3.put_bucket_acl(Bucket=stage.bucket.name, ACL="public-read")
    faults = []
    for form in FORMATS:
        keys = recording.keys.get(form, [])
        for number, key in enumerate(keys):
            if (row, number) in HEVC:
                continue
            length = recording.seconds[key]
            # Behind a change, before it, near the end, at the begin.
            seeks = [length * part for part in (0.75, 0.2, 0.9, 0.5)] + [0.2]
            seeks = [at for at in seeks if at >= BEGINS.get((row, form), 0)]
            report = cinema.play(stage.server.oss, stage.bucket.name, key, form, seeks)
            faults += [f"{form} {number + 1}/{len(keys)} of {length} s: {text}" for text in wrong(row, len(keys), number, report)]
    assert not faults, "\n".join(faults)
