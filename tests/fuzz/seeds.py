#!/usr/bin/env python3
"""Makes the seeds in fixtures/fuzz from the project's own clips and captures. `seeds.py [PROGRAM]`: with the path of a localyun
binary, and ffmpeg installed, the bytes of a real push are taken too. The forms are those that src/targets/*.rs read."""

import json
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEDIA = ROOT / "fixtures/media"
OUT = ROOT / "fixtures/fuzz"
GREETINGS = 1 + 2 * 1536


def seed(target: str, name: str, data: bytes) -> None:
    (OUT / target).mkdir(parents=True, exist_ok=True)
    (OUT / target / name).write_bytes(data[:16_000])


def counted(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def tags(clip: str):
    """Kind, time and body of each tag."""
    data, at = (MEDIA / clip).read_bytes(), 13
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big")
        yield data[at], time, data[at + 11 : at + 11 + size]
        at += 15 + size


def flv_and_codec() -> None:
    for clip in ["h264_bframes_aac", "h264_mp3", "h264_speex", "hevc_enhanced", "hevc_id12", "flv1_aac"]:
        body = b"\x01"
        number = {9: 0, 8: 1, 18: 3}
        few = [tag for tag in tags(f"{clip}.flv") if len(tag[2]) < 1500][:12]
        for kind, time, data in few:
            body += bytes([number[kind]]) + struct.pack(">H", time) + counted(data)
        seed("flv", clip, body)
    whole = (MEDIA / "one_per_second.flv").read_bytes()
    seed("flv", "file", b"\x80" + whole[:3000])
    seed("flv", "file_cut", b"\xc2" + whole[:1501])
    first = {clip: next(d for k, _, d in tags(f"{clip}.flv") if k == 9) for clip in ["h264_aac", "hevc_id12"]}
    avcc, hvcc = first["h264_aac"][5:], first["hevc_id12"][5:]
    seed("codec", "avcc", b"\x00" + avcc)
    seed("codec", "hvcc", b"\x01" + hvcc)
    seed("codec", "avc_sps", b"\x02" + avcc[8 : 8 + int.from_bytes(avcc[6:8], "big")])
    at, arrays = 23, hvcc[22]
    for _ in range(arrays):
        kind, count, at = hvcc[at] & 0x3F, int.from_bytes(hvcc[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(hvcc[at : at + 2], "big")
            if kind == 33:
                seed("codec", "hevc_sps", b"\x03" + hvcc[at + 2 : at + 2 + size])
            at += 2 + size
    asc = next(d for k, _, d in tags("h264_aac.flv") if k == 8)[2:]
    seed("codec", "asc", b"\x04" + asc)
    seed("codec", "asc_he", b"\x04\x2b\x92\x08\x00")
    mp3 = next(d for k, _, d in tags("h264_mp3.flv") if k == 8)[1:]
    seed("codec", "mp3", b"\x05" + mp3[:8])
    vol = bytes.fromhex("000001b001000001b58913000001000000012000c488800c8a0a05a21463")
    seed("codec", "vol", b"\x06" + vol)
    seed("codec", "mpeg4_headers", b"\x07" + vol + bytes.fromhex("000001b610600102"))
    seed("amf0", "metadata", next(d for k, _, d in tags("h264_aac.flv") if k == 18))
    connect = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\x00\x0afourCcList\x0a\0\0\0\x01\x02\x00\x04hvc1\0\0\x09"
    seed("amf0", "connect", connect)
    seed("amf0", "kinds", b"\x0b\x42\x70\0\0\0\0\0\0\0\0\x0c\0\0\0\x02ab\x10\0\x01C\0\x01a\x05\0\0\x09\x08\0\0\0\x01\0\x01k\x06\0\0\x09\x01\x01")


def units() -> None:
    def unit(head: bytes, size: int) -> bytes:
        return head + bytes([size]) + bytes(range(size))

    idr, p, rest, sei, aud = (unit(bytes.fromhex(head), 5) for head in ("658800", "41c000", "414000", "060501", "09f000"))
    alone, sound, step = b"\x03", b"\x02", b"\x0b\x28"
    apart = b"".join(alone + u for u in (aud, sei, idr, rest, rest)) + sound + b"".join(step + u + alone + rest for u in (p, p))
    seed("units", "h264_apart", b"\x00" + apart)
    seed("units", "h264_whole", b"\x00" + b"".join(b"\x4b\x28" + aud + sei + u for u in (idr, p, p)) + b"\x00")
    fields = b"".join(alone + unit(bytes.fromhex(head), 2) for head in ("41eb01", "41eb81"))
    seed("units", "h264_fields", b"\x00" + fields + step + fields[1:])
    irap, more, sei5, aud5 = (unit(bytes.fromhex(head), 5) for head in ("260180", "260140", "4e0105", "460150"))
    seed("units", "h265_apart", b"\x01" + b"".join(alone + u for u in (aud5, sei5, irap, more)) + step + irap)
    vop, header = b"\x23" + counted(b"\x10abc"), b"\x03" + counted(b"\x00\x00\x01\xb0\x01")
    seed("units", "mpeg4_apart", b"\x02" + header + vop + b"\x03" + counted(b"rest") + vop + b"\xe1\x00" + alone + idr)


def mux() -> None:
    def frames(picture: bytes, sound: bytes, sound_config: int, picture_config: int) -> bytes:
        body = b"\x00\x00" + bytes([picture_config]) + counted(b"") + b"\x01" + bytes([sound_config]) + counted(b"")
        for n in range(12):
            key = 0x80 if n % 4 == 0 else 0
            body += bytes([key | 0x02, 40]) + picture * 3 + bytes([0x04, 0, 23]) + sound
        return body

    seed("mux", "h264_aac", frames(counted(b"\x65\x88" * 30), counted(b"\x21\x10" * 40), 0, 0))
    seed("mux", "h265_mp3", frames(counted(b"\x26\x01" * 30), b"\x00" * 413, 1, 1))
    seed("mux", "mpeg4_aac", frames(counted(b"\x00\x00\x01\xb6\x10" * 9), counted(b"\x21\x10" * 40), 0, 2))


def captures() -> None:
    names = sorted(path.stem for path in (ROOT / "api-spec/2016-11-01/actions").glob("*.json"))
    seen = set()
    for file in sorted((ROOT / "fixtures/wire").glob("*.json")):
        for row in json.loads(file.read_text())["rows"]:
            text, action = json.dumps(row), row.get("action")
            scheme = "v3" if "ACS3-HMAC" in text else "v1"
            method, target = row["method"], row["target"]
            path, _, query = target.partition("?")
            body = row.get("body", "")
            if (scheme, action, method) in seen or len(seen) > 36 or len(text) > 4000 or not isinstance(body, str):
                continue
            seen.add((scheme, action, method))
            name = f"{scheme}_{action}_{method}".lower()
            if action in names:
                seed("params", name, struct.pack(">H", names.index(action)) + query.encode() + b"\n" + body.encode())
            headers = row["headers"]
            pairs = headers.items() if isinstance(headers, dict) else headers
            lines = "".join(f"{key}:{value}\n" for key, value in pairs)
            seed("api_sign", name, f"{method}\n{path}\n{query}\n{lines}\n{body}".encode())


def store() -> None:
    date, scope = "20261122T151056Z", "testid/20261122/cn-shanghai"
    host, sign = "host: one.oss-cn-shanghai.aliyuncs.com", "0" * 64
    requests = {
        "v1_header": f"PUT\n/one/a%20b?acl\n{host}\ndate: Sun, 22 Nov 2026 15:10:56 GMT\nx-oss-meta-a: 1\ncontent-type: text/plain\nauthorization: OSS testid:AAAA",
        "v1_url": f"GET\n/a?OSSAccessKeyId=testid&Expires=1795360300&Signature=AAAA&response-content-type=text\n{host}",
        "oss4_header": f"GET\n/one/a?uploads\nhost: 127.0.0.1\nx-oss-date: {date}\nx-oss-content-sha256: UNSIGNED-PAYLOAD\n"
        f"authorization: OSS4-HMAC-SHA256 Credential={scope}/oss/aliyun_v4_request,AdditionalHeaders=host,Signature={sign}",
        "oss4_url": f"GET\n/one/a?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential={scope}/oss/aliyun_v4_request"
        f"&x-oss-date={date}&x-oss-expires=60&x-oss-signature={sign}\nhost: 127.0.0.1",
        "aws4_header": f"PUT\n/two.b/a//b\nhost: 127.0.0.1\nx-amz-date: {date}\nx-amz-content-sha256: UNSIGNED-PAYLOAD\n"
        f"authorization: AWS4-HMAC-SHA256 Credential={scope}/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={sign}",
        "aws4_url": f"GET\n/one?list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}/s3/aws4_request&X-Amz-Date={date}"
        f"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={sign}\nhost: 127.0.0.1",
        "none": f"GET\n/a/b\n{host}",
    }
    for name, text in requests.items():
        seed("store_sign", name, text.encode())
    plain = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nx-amz-checksum-crc32:xxxx\r\n\r\n"
    seed("store_chunks", "plain", b"\x00\x05" + plain)
    seed("store_chunks", "unsigned_of_signed", b"\x02\x05" + plain)
    seed("store_chunks", "signed", b"\x01\x05" + bytes(range(256)) * 2)
    seed("store_chunks", "signed_trailers", b"\x05\x09" + b"payload" * 30)
    for number, (one, two) in enumerate([("a/b", "a/b/"), ("p", "p/q"), ("../../etc/passwd", "a//./.."), ("x" * 400, "x" * 360 + "%dir/a"), ("字%+/", "\x01\t")]):
        seed("store_keys", f"pair_{number}", counted(one.encode()) + two.encode())
    documents = {
        "delete": "<?xml version='1.0'?>\n<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>b</Key></Object></Delete>",
        "complete": '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>',
        "cors": "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader>"
        "<ExposeHeader>etag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>",
        "tagging": "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
        "entities": '<!DOCTYPE a [<!ENTITY e "eeee">]><Delete><Object><Key>&e;&#x41;<![CDATA[<]]></Key></Object></Delete>',
    }
    for name, text in documents.items():
        seed("store_xml", name, text.encode())
    key, text = counted(b"live/s 1/%41.ts"), {name: counted(text.encode()) for name, text in documents.items()}
    policy = json.dumps({"expiration": "2026-11-22T16:00:00Z", "conditions": [{"bucket": "one"}, ["starts-with", "$key", "up/"], ["content-length-range", 0, 100]]})
    sequences = {
        "put_get": b"\x00" + key + counted(b"hello") + b"\x02" + key,
        "delete_many": b"\x00" + key + counted(b"x") + b"\x03" + key + text["delete"],
        "cors": b"\x04" + counted(b"") + text["cors"],
        "tagging": b"\x00" + key + counted(b"x") + b"\x05" + key + text["tagging"],
        "multipart": b"\x06" + key + b"\x07" + key + b"\x01" + counted(b"part") + b"\x08" + key
        + counted(b'<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"6654c734ccab8f440ff0825eb443dc7f"</ETag></Part></CompleteMultipartUpload>'),
        "form": b"\x09" + counted(b"") + counted(b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nup/${filename}\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n'),
        "policy": b"\x0a" + counted(b"") + counted(policy.encode()) + counted(b"up/a") + counted(b"x-oss-object-acl") + counted(b"private") + counted(b"hi"),
        "list": b"\x00" + key + counted(b"1") + b"\x0b" + counted(b"live/") + counted(b"/") + counted(b"") + b"\x02",
        "append": b"\x0c" + key + b"\x00" + counted(b"12345") + b"\x0c" + key + b"\x05" + counted(b"6"),
        "copy": b"\x00" + key + counted(b"1") + b"\x0d" + counted(b"copy") + counted(b"/one/live/s 1/%41.ts"),
        "range": b"\x00" + key + counted(b"0123456789") + b"\x0e" + key + b"range\nbytes=2-5\n",
        "any": b"\x0f" + counted(b"") + b"\x01/one/..%2f..%2fwitness\nx-oss-object-acl\nprivate\n" + counted(b"x"),
    }
    for name, data in sequences.items():
        seed("store_http", name, data)


def spool() -> None:
    def frame(kind: int, step: int, flags: int, size: int) -> bytes:
        return bytes([kind, 0, step, flags]) + counted(bytes(size))

    media = b"\x00" + counted(b"\x01\x4d\x40\x0c\xff") + b"\x01" + counted(b"\x12\x10")
    media += b"".join(frame(6, 5, 0 if n % 10 == 0 else 1, 60) + frame(7, 3, 0, 30) for n in range(60))
    tail = b"\x02\x00\x05\x00" + b"\x03\x00\x05" + frame(6, 5, 0, 10) + b"\x04\x00\x05\x00" + b"\x05"
    for name, how, place in [("cut", 0, 2500), ("flipped", 1, 3000), ("overwritten", 2, 1800), ("zeros", 3, 2222)]:
        seed("spool", name, b"\x02" + bytes([how]) + struct.pack(">H", place) + b"\x41\x04\x01" + media + tail)
    seed("spool", "sealed", b"\x01" + b"".join(bytes([k, 1, 0]) + struct.pack("<I", 40) + struct.pack(">q", k << 30) + counted(b"{}") for k in range(8)))
    seed("spool", "raw", b"\x00\x00" + counted(b"\x05\0\0\0" + bytes(25)) + b"\xff" * 30)


def watch() -> None:
    whole = (MEDIA / "one_per_second.flv").read_bytes()
    seed("watch", "flv", b"\x00\x40" + whole[:6000])
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(MEDIA / "one_per_second.flv"), "-c", "copy", "-f", "mpegts", "-"]
        seed("watch", "ts", b"\x01\xbc" + subprocess.run(command, capture_output=True, check=True).stdout[:6000])
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXT-X-MEDIA-SEQUENCE:7", "#EXTINF:2.0,", "s1-7.ts?session=1", "#EXT-X-ENDLIST"]
    seed("watch", "playlist", b"\x02\x00" + "\n".join(lines).encode())


def play() -> None:
    for name, path in [("flv", "/live/s1.flv"), ("slice", "/live/a%3ab-12.ts"), ("trick", "/live/..%2f..%2fetc%2fpasswd.mp4"), ("odd", "/./....m3u8?vhost=a.example&auth_key=1-0-0-0")]:
        seed("play", name, b"\x00" + path.encode())
    steps = b"".join(bytes([n % 4]) + struct.pack(">H", n * 37) for n in range(60))
    seed("play", "sent", b"\x01" + steps)
    seed("play", "chunked", b"\x02" + steps)
    seed("play", "rtmp", b"\x03" + b"".join(bytes([n % 3]) + struct.pack(">I", n * 0x400000) + counted(bytes([n]) * (n * 90)) for n in range(1, 9)))


def outside() -> None:
    """What an upstream answers, cassettes, what `compare` reads, and newer descriptions of the API."""
    error = {"RequestId": "A-1", "HostId": "live.aliyuncs.com", "Code": "InvalidDomain.NotFound", "Message": "The domain provided does not exist in our records.", "Recommend": "https://x/?a=b"}
    listed = {"RequestId": "A-1", "TotalNum": 2, "List": {"Row": [{"DomainName": "d", "N": 1.5, "On": True}, {"ArgName": "auth_key1", "ArgValue": "hush", "Url": "http://u:p@h/x?token=t"}]}}
    text = json.dumps(json.dumps({"AuthKey": "hush"}))
    xml = "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>A-1</RequestId><Code>X</Code><A><ArgName>auth_key1</ArgName><ArgValue>hush</ArgValue></A><U>http://u:p@h/?a=b&amp;token=t</U><C><![CDATA[<]]></C><E/></Error>"
    answers = {"error": json.dumps(error), "list": json.dumps(listed, separators=(",", ":")), "inside": '{"A":' + text + ',"N":1.0e5,"B":[[[[]]]]}'}
    for name, answer in answers.items():
        seed("upstream", name, b"\x00" + answer.encode())
    seed("upstream", "xml", b"\x01" + xml.encode())
    seed("upstream", "kind", b"\x02application/json;charset=utf-8")
    call = {
        "localyun_cassette": 1, "recorded": "2026-11-26T20:00:00Z", "upstream": "https://live.aliyuncs.com", "action": "A", "version": "2016-11-01", "format": "JSON",
        "params": {"DomainName": "d{number}", "StartTime": "{time}", "Tag": ["a", "{any}"], "Key": "***"},
        "answer": {"status": 200, "headers": {"content-type": "application/json"}, "body": listed},
    }
    asked = b"DomainName=d7&StartTime=2026-11-26T20%3A00%3A00Z&Tag=a&Tag=b&Key=x"
    for number, (name, value) in enumerate([("StartTime", "2026-11-26T20:00:00Z"), ("OssObjectPrefix", "record/{AppName}/{any}{=id}{{unix}{number}-{time}"), ("ClientToken", "x"), ("{id}-{unix}", "0123456789-1795360256")]):
        seed("cassette", f"pattern_{number}", b"\x00" + name.encode() + b"\n" + value.encode())
    seed("cassette", "file", b"\x01" + asked + b"\n" + json.dumps(call, indent=2).encode())
    other = call | {"params": {"*": "{any}", "DomainName": "e"}, "answer": {"status": 404, "headers": {}, "body_base64": "e30="}}
    seed("cassette", "file_open", b"\x01DomainName=e&X=1\n" + json.dumps(other).encode())
    seed("cassette", "kept", b"\x02" + asked + b"&NotifyAuthKey=hush&A=%7Bany%7D\n" + answers["list"].encode())
    for name in ["limits-json", "StartLiveDomain", "DescribeLiveUserTags", "limits-transcoded"]:
        seed("compare", name.lower().replace("-", "_"), b"\x00" + (ROOT / f"tests/parity/{name}.yaml").read_bytes())
    page = (ROOT / "docs/parity.md").read_text()
    seed("compare", "documented", b"\x00" + ("script: a-rule" + page.split("\nscript: a-rule", 1)[1]).split("```")[0].encode())
    there = json.dumps({**listed, "totalNum": "2", "Code": 1, "List": {"Row": [listed["List"]["Row"][1], {"DomainName": "e.example.com"}]}}).encode()
    seed("compare", "answers", b"\x01\x00" + counted(json.dumps(listed).encode()) + b"\x00" + counted(there) + b"a.example.com\n")
    seed("compare", "refusals", b"\x01\x01" + counted(json.dumps(error).encode()) + b"\x01" + counted(json.dumps({**error, "Code": "Other"}).encode()) + b"\n")
    surveyed = {
        "name": "AddCasterComponent", "family": "other", "rw": "write", "meta_http_methods": ["post"], "qps_limit": "30/second",
        "request": [{"name": "A", "type": "array", "encoding": "repeat-list", "constraints": {"maxItems": 3, "minimum": "1"}, "documented": {"doc_range": [1, 2]},
                     "item": {"type": "object", "fields": [{"name": "K", "type": "integer", "format_int": "int32", "required": True, "constraints": {"enum": ["a", 1], "pattern": "^[a-z]+$"}}]}}],
        "response": {"RequestId": {"type": "string"}, "L": {"type": "array", "item": {"type": "object", "fields": {"N": {"type": "number"}}}}},
        "errors": [{"code": "X", "http": "404"}],
    }
    seed("drift", "survey", json.dumps({"product": "live", "actions": [surveyed]}).encode())
    part = {"$ref": "#/components/schemas/P"}
    metadata = {
        "info": {"product": "live"}, "components": {"schemas": {"P": {"type": "object", "properties": {"N": {"type": "integer", "format": "int32"}, "M": {"type": "boolean"}}}}},
        "apis": {"AddCasterComponent": {"methods": ["post"], "parameters": [{"name": "A", "style": "json", "schema": {"type": "array", "items": part, "required": True}}],
                                         "responses": {"200": {"schema": {"type": "object", "properties": {"P": part, "L": {"type": "array", "items": part}}}}}, "errorCodes": {"404": [{"errorCode": "X"}]}}},
    }
    seed("drift", "metadata", json.dumps(metadata).encode())
    round_and_round = {"A": {"type": "object", "properties": {"A": {"$ref": "#/components/schemas/A"}, "B": {"$ref": "#/components/schemas/A"}}}}
    seed("drift", "circle", json.dumps({"apis": {"A": {"responses": {"200": {"schema": round_and_round["A"]}}}}, "components": {"schemas": round_and_round}}).encode())


def rtmp(program: str | None) -> None:
    client = bytes([0x80, 3]) + b"".join(bytes([n % 3]) + struct.pack(">I", n * 0x400000) + counted(bytes([n]) * (n * 40)) for n in range(1, 12))
    seed("rtmp", "client", client)
    if not program or not shutil.which("ffmpeg"):
        return
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [program, "serve", "--data-dir", folder, "--api-addr", "127.0.0.1:0", "--rtmp-addr", "127.0.0.1:0", "--oss-addr", "127.0.0.1:0", "--play-addr", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            ready = json.loads(server.stdout.readline())
            address = next(str(v) for k, v in {**ready, **ready.get("addresses", {})}.items() if k == "rtmp")
            host, port = address.split("//")[-1].strip("/").rsplit(":", 1)
            for clip in ["h264_aac", "h264_mp3"]:
                push(clip, (host, int(port)))
        finally:
            server.terminate()
            server.wait()


def push(clip: str, upstream: tuple[str, int]) -> None:
    """A real push through a door that keeps what the publisher said."""
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(20)
        target = f"rtmp://127.0.0.1:{door.getsockname()[1]}/live/s?vhost=play.example.com"
        options = ["-c", "copy", "-t", "1", "-f", "flv"]
        ffmpeg = subprocess.Popen(["ffmpeg", "-nostdin", "-v", "error", "-i", str(MEDIA / f"{clip}.flv"), *options, target])
        publisher, _ = door.accept()
        with publisher, socket.create_connection(upstream) as server:
            def back() -> None:
                try:
                    while data := server.recv(65536):
                        publisher.sendall(data)
                except OSError:
                    pass  # the publisher has gone
            threading.Thread(target=back, daemon=True).start()
            while data := publisher.recv(65536):
                said += data
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        ffmpeg.wait(timeout=20)
    seed("rtmp", f"push_{clip}", b"\x01\x05" + said[GREETINGS : GREETINGS + 6000])
    if clip == "h264_aac":
        seed("rtmp", "push_with_greeting", b"\x00\x05" + said[: GREETINGS + 2000])
        seed("rtmp", "push_small_limits", b"\x07\x05" + said[GREETINGS : GREETINGS + 3000])


if __name__ == "__main__":
    flv_and_codec()
    units()
    mux()
    captures()
    store()
    spool()
    watch()
    play()
    outside()
    rtmp(sys.argv[1] if len(sys.argv) > 1 else None)
    files = [path for path in OUT.rglob("*") if path.is_file()]
    print(f"{len(files)} seeds, {sum(path.stat().st_size for path in files)} bytes")
