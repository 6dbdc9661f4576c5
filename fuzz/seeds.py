#!/usr/bin/env python3
"""Writes the seeds in corpus/: lines that real bridges sent, and the edges of what may be sent.

The lines are those of Java I2P 2.8.0, i2pd 2.59.0 and emissary 0.4.0, with made-up keys of the right
length and form. The same files come out of every run; files that a fuzzer found are left alone.
"""

import base64
import hashlib
import pathlib
import zlib

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"

def noise(length, seed):
    blocks = (hashlib.sha256(f"{seed}/{n}".encode()).digest() for n in range(length // 32 + 1))
    return b"".join(blocks)[:length]

def b64(data):
    return base64.b64encode(data, altchars=b"-~").decode()

def b32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")

NULL = b"\0\0\0"

def certificate(signature, crypto=0, excess=b""):
    payload = signature.to_bytes(2, "big") + crypto.to_bytes(2, "big") + excess
    return b"\5" + len(payload).to_bytes(2, "big") + payload

ED25519, P521, X25519 = certificate(7), certificate(3, excess=b"\1\2\3\4"), certificate(7, 4)

def public(cert=ED25519, seed="alice"):
    """As routers make them since 0.9.57: 32 random bytes, repeated as padding, and the signing key."""
    return noise(32, seed) * 11 + noise(32, seed + " signing") + cert

def private(cert=ED25519, signing=32, encryption=256, seed="alice"):
    return public(cert, seed) + bytes(encryption) + noise(signing, seed + " secret")

def offline(cert=ED25519, blank=32, signature=64, encryption=256, transient=7, key=(32, 32), seed="off"):
    keys = noise(key[0], seed + " public") + noise(signature, seed + " signature") + noise(key[1], seed)
    head = bytes([0x70, 0, 0, 1]) + transient.to_bytes(2, "big")
    return public(cert, seed) + bytes(encryption + blank) + head + keys

def b33(flags=0, types=b"\7\x0b", key=noise(32, "b33")):
    plain = bytes([flags]) + types + key
    crc = zlib.crc32(plain[3:]).to_bytes(4, "little")[:3]
    return b32(bytes(a ^ b for a, b in zip(plain, crc)) + plain[3:]) + ".b32.i2p"

PUB, PRIV, BOB = b64(public()), b64(private()), b64(public(seed="bob"))
DSA_PUB, DSA_PRIV = b64(public(NULL)), b64(private(NULL, 20))
B32 = b32(hashlib.sha256(public()).digest()) + ".b32.i2p"
LONG_B32 = "a" * 1000 + ".b32.i2p"
ROUTER = ("Error creating I2PSocketManager: [SAM TCP Client(CLOSED)]: Cannot connect to the router on "
          "127.0.0.1:27654 and build tunnels - Disconnected from router while waiting for tunnels: ")

MESSAGE = {
    "hello-ok-3.3": "HELLO REPLY RESULT=OK VERSION=3.3\n",
    "hello-ok-3.2-emissary": "HELLO REPLY RESULT=OK VERSION=3.2\n",
    "hello-noversion": "HELLO REPLY RESULT=NOVERSION\n",
    "hello-timeout": 'HELLO REPLY RESULT=I2P_ERROR MESSAGE="Timeout waiting for HELLO VERSION"\n',
    "hello-credentials-wanted": 'HELLO REPLY RESULT=I2P_ERROR MESSAGE="USER and PASSWORD required"\n',
    "hello-credentials-wrong": 'HELLO REPLY RESULT=I2P_ERROR MESSAGE="Authorization failed"\n',
    "hello-second": 'HELLO STATUS RESULT=I2P_ERROR MESSAGE="unsupported command, enter HELP for help"\n',
    "session-ok": f"SESSION STATUS RESULT=OK DESTINATION={PRIV}\n",
    "session-duplicated-id": "SESSION STATUS RESULT=DUPLICATED_ID\n",
    "session-duplicate-id-emissary-unterminated": "SESSION STATUS RESULT=DUPLICATE_ID",
    "session-duplicate-dest-emissary-unterminated": "SESSION STATUS RESULT=DUPLICATE_DEST",
    "session-invalid-key": "SESSION STATUS RESULT=INVALID_KEY\n",
    "session-no-such-style-i2pd": 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unknown STYLE"\n',
    "session-crypto-type": f'SESSION STATUS RESULT=I2P_ERROR MESSAGE="{ROUTER}Unsupported crypto type: 99"\n',
    "session-duplicate-in-router": f'SESSION STATUS RESULT=I2P_ERROR MESSAGE="{ROUTER}duplicate destination"\n',
    "session-pong-timeout": 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="PONG timeout"\n',
    "session-line-too-long": 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Line too long - max 8192"\n',
    "session-bad-port-to-a-stream": 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="bad port"\n',
    "session-add-ok-java": 'SESSION STATUS RESULT=OK ID="ps" MESSAGE="ADD ps"\n',
    "session-add-ok-two-words": 'SESSION STATUS RESULT=OK ID="two words" MESSAGE="ADD two words"\n',
    "session-add-duplicate": 'SESSION STATUS RESULT=I2P_ERROR ID="ps2" MESSAGE="Duplicate protocol 6 and port 0"\n',
    "session-remove-not-found": 'SESSION STATUS RESULT=I2P_ERROR ID="nosuch" MESSAGE="ID nosuch not found"\n',
    "stream-ok": "STREAM STATUS RESULT=OK\n",
    "stream-invalid-id": 'STREAM STATUS RESULT=INVALID_ID MESSAGE="STREAM SESSION ID nope does not exist"\n',
    "stream-no-such-name": 'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Host name not found: nosuch.i2p"\n',
    "stream-echoes-a-key": f'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Host name not found: {PUB[:504]}"\n',
    "stream-no-lease-set": f'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Lease set not found: {B32}"\n',
    "stream-to-itself-i2pd": 'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Can\'t connect to myself"\n',
    "stream-unreachable-emissary-unterminated": "STREAM STATUS RESULT=CANT_REACH_PEER",
    "stream-already-accepting": 'STREAM STATUS RESULT=ALREADY_ACCEPTING MESSAGE="primary session"\n',
    "stream-forward-refused": 'STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : '
                              'a forwarding server is already defined for this destination"\n',
    "naming-ok-me": f"NAMING REPLY RESULT=OK NAME=ME VALUE={PUB}\n",
    "naming-ok-b32": f"NAMING REPLY RESULT=OK NAME={B32} VALUE={PUB}\n",
    "naming-ok-echoes-a-destination": f"NAMING REPLY RESULT=OK NAME={PUB} VALUE={PUB}\n",
    "naming-ok-with-options": f"NAMING REPLY RESULT=OK NAME={B32} VALUE={PUB} "
                              f'OPTION:_smtp._tcp="1 86400 0 0 25 {B32}" OPTION:a="b c"\n',
    "naming-not-found": "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=nosuch.i2p\n",
    "naming-not-found-empty-i2pd": "NAMING REPLY RESULT=INVALID_KEY NAME=\n",
    "naming-not-found-no-name": 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME="" MESSAGE="Must specify NAME"\n',
    "naming-echo-blank": "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=a b.i2p\n",
    "naming-echo-quote": 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME=a"b\n',
    "naming-echo-opens-a-quote": 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME="b.i2p\n',
    "naming-echo-looks-like-pairs": 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME=a =b "c" RESULT=OK VALUE\n',
    "naming-echo-beyond-ascii": "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=\u00e9.i2p\n",
    "naming-echo-replacement-character": "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=\ufffd.i2p\n",
    "naming-echo-nul": "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=x\0y.i2p\n",
    "naming-echo-3000-letters-emissary": f"NAMING REPLY RESULT=KEY_NOT_FOUND NAME={'a' * 3000}\n",
    "naming-invalid-utf8": b"NAMING REPLY RESULT=KEY_NOT_FOUND NAME=\xff.i2p\n",
    "naming-cut-in-a-character": b"NAMING REPLY RESULT=KEY_NOT_FOUND NAME=\xc3",
    "dest-ok-ed25519": f"DEST REPLY PUB={PUB} PRIV={PRIV}\n",
    "dest-ok-dsa": f"DEST REPLY PUB={DSA_PUB} PRIV={DSA_PRIV}\n",
    "dest-unsupported": 'DEST REPLY RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE 99 unsupported"\n',
    "dest-error-unterminated": 'DEST REPLY RESULT=I2P_ERROR MESSAGE="DEST GENERATE required"',
    "dest-error-cut": 'DEST REPLY RESULT=I2P_ERROR MESSAGE="DEST GENE',
    "ping-number": "PING 1795375816695\n",
    "ping-bare": "PING\n",
    "ping-blank": "PING \n",
    "ping-rich": 'PING 1234 some  text "quoted" a=b\n',
    "ping-carriage-return-inside": "PING a\rb\r\n",
    "pong-mine": "PONG mine\n",
    "quit-bye": "QUIT STATUS RESULT=OK MESSAGE=bye\n",
    "help": "HELP STATUS RESULT=OK MESSAGE=https://geti2p.net/en/docs/api/samv3\n",
    "auth-exists": 'AUTH STATUS RESULT=I2P_ERROR MESSAGE="user alice already exists"\n',
    "datagram-received": f"DATAGRAM RECEIVED DESTINATION={PUB} SIZE=33 FROM_PORT=7 TO_PORT=8\n",
    "datagram3-received-i2pd": f"DATAGRAM RECEIVED DESTINATION={b64(noise(32, 'hash'))} SIZE=10 FROM_PORT=0 TO_PORT=0\n",
    "raw-received": "RAW RECEIVED SIZE=21 PROTOCOL=18 FROM_PORT=9 TO_PORT=10\n",
    "escapes": r'A B M="say \"hi\" \\ \n" N=a\b KEY EMPTY= QUOTED=""' + "\n",
    "escape-hides-the-quote": 'A B M="no end\\"\n',
    "quote-behind-quote": 'A B K="a"b=c"d" ="e"\n',
    "blanks": "  HELLO \t REPLY   RESULT=OK\t\tVERSION=3.3  \r\n",
    "pair-behind-topic": "HELLO RESULT=OK\n",
    "lone-topic": "FOO\n",
    "key-as-topic": f"{PRIV} {PUB} {PRIV}={PUB}\n",
    "explanation-escapes-to-the-terminal": 'A B RESULT=\x1b[31m MESSAGE="a\x1b[31m\u202e\u0085b"\n',
    "explanation-endless-b32": f'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Lease set not found: {LONG_B32}"\n',
    "result-endless-b32": f"STREAM STATUS RESULT={LONG_B32}\n",
    "result-suffix-goes-on": f"STREAM STATUS RESULT={B32}{'a' * 60}\n",
    "empty": "",
    "empty-line": "\n",
    "blank-line": " \t \r\n",
}

def fields(kind, *values):
    return kind.encode() + b"\xff".join(v if isinstance(v, bytes) else v.encode() for v in values)

def filled(length):
    """SESSION CREATE with one option, as a line of this length."""
    return fields("p", "K", "x" * (length - len("SESSION CREATE K=\n")))

SESSION = ["STYLE", "STREAM", "ID", "alice", "DESTINATION", PRIV, "i2cp.leaseSetEncType", "4,0", "inbound.length", "0"]

COMMAND = {
    "hello": fields("n"),
    "hello-credentials": fields("h", "alice", "secret"),
    "hello-credentials-quoted": fields("h", "a b", 'c"\\'),
    "hello-password-empty": fields("h", "alice", ""),
    "hello-password-line-end": fields("h", "alice", "secret\nQUIT"),
    "generate-7": fields("g", "7"),
    "lookup-name": fields("l", "nosuch.i2p"),
    "lookup-b32": fields("l", B32),
    "lookup-destination": fields("l", PUB),
    "lookup-blank": fields("l", "a b.i2p"),
    "lookup-nul": fields("l", "x\0y.i2p"),
    "lookup-carriage-return": fields("l", "a\rb"),
    "lookup-beyond-ascii": fields("l", "\u00e9.i2p"),
    "lookup-no-utf8": fields("l", b"\xc3.i2p"),
    "accept": fields("a", "alice"),
    "accept-empty-id": fields("a", ""),
    "connect-ports": fields("c", "bob", PUB, "1111", "2222"),
    "connect-to-port": fields("c", "bob", B32, "", "80"),
    "connect-bare": fields("c", "bob", "nosuch.i2p"),
    "connect-port-70000": fields("c", "bob", "nosuch.i2p", "70000", "-1"),
    "ping": fields("i", "1795375816695"),
    "ping-empty": fields("i", ""),
    "ping-longest": fields("i", "x" * (8192 - len("PING \n"))),
    "ping-too-long": fields("i", "x" * (8193 - len("PING \n"))),
    "pong-rich": fields("o", '1234 some  text "quoted" a=b '),
    "pong-tab-in-front": fields("o", "\ta"),
    "pong-line-end": fields("o", "a\nQUIT"),
    "quit": fields("q"),
    "session-no-pairs": fields("p"),
    "session-key": fields("p", *SESSION),
    "session-nickname-quoted": fields("p", *SESSION[:4], "inbound.nickname", 'my app "x"', "outbound.nickname", "a b"),
    "session-value-of-blanks": fields("p", "A", " ", "B", "\t", "C", "\u2003", "D", "\x0b"),
    "session-value-of-escapes": fields("p", "A", "\\", "B", '"', "C", '\\"', "D", "a\\ b", "E", '=" "'),
    "session-control-characters": fields("p", "A", "\x01\x1b[31m\x7f\u0085"),
    "session-empty-value": fields("p", "K", ""),
    "session-empty-key": fields("p", "", "x"),
    "session-key-without-value": fields("p", "K", "v", "L"),
    "session-key-with-equals": fields("p", "a=b", "c"),
    "session-key-with-line-end": fields("p", "a\nb", "c"),
    "session-key-is-a-secret": fields("p", PRIV, "a\nb"),
    "session-second-pair-refused": fields("p", "PASSWORD", "hunter2", "K", "hunter2\r"),
    "session-longest": filled(8192),
    "session-too-long": filled(8193),
    "session-too-long-by-quoting": fields("p", "K", '"' * 4090),
}

def stream(data, sizes=(), filler=0, eager=False, breaks=False):
    flags = len(sizes) | (0x80 if eager else 0) | (0x40 if breaks else 0)
    return bytes([flags, *sizes, filler]) + (data if isinstance(data, bytes) else data.encode())

ACCEPTED = f"STREAM STATUS RESULT=OK\n{PUB} FROM_PORT=0 TO_PORT=0\nearly data in the same write\n"

LINE = {
    "accepted-in-one-segment": stream(ACCEPTED),
    "accepted-byte-by-byte": stream(ACCEPTED, [1]),
    "accepted-in-uneven-portions": stream(ACCEPTED, [24, 255, 255, 1, 60, 3]),
    "accepted-more-arrives": stream(ACCEPTED, [7, 100], eager=True),
    "accepted-interrupted": stream(ACCEPTED, [0, 30, 0, 0, 200], eager=True),
    "status-then-binary": stream(b"STREAM STATUS RESULT=OK\n\0\xff\r\n\n\x80", [13, 11, 1]),
    "split-hello": stream("HELLO VER" "SION MIN=3.1 MAX=3.3\n", [9]),
    "pipelined": stream("HELLO REPLY RESULT=OK VERSION=3.3\nPONG a\nNAMING REPLY RESULT=KEY_NOT_FOUND NAME=nosuch.i2p\n"
                        "QUIT STATUS RESULT=OK MESSAGE=bye\n", [200]),
    "pong-and-timeout": stream('PONG mine\nSESSION STATUS RESULT=I2P_ERROR MESSAGE="PONG timeout"\n', [64]),
    "carriage-return": stream("HELLO REPLY RESULT=OK\r\nrest"),
    "empty-lines": stream("\n\n\n", [1]),
    "unterminated-java": stream('DEST REPLY RESULT=I2P_ERROR MESSAGE="DEST GENERATE required"'),
    "unterminated-emissary": stream("STREAM STATUS RESULT=CANT_REACH_PEER", [5]),
    "unterminated-reset": stream("STREAM STATUS RESULT=CANT_REACH_PEER", [5], breaks=True),
    "reset-at-once": stream("", breaks=True),
    "line-then-reset": stream("PING 1795375816695\n", breaks=True),
    "end-at-once": stream(""),
    "window-exactly": stream("\nrest", filler=1),
    "window-and-one": stream("x\nrest", [255], filler=1),
    "longest": stream("x" * 1023 + "\nrest", filler=63),
    "one-byte-too-long": stream("x" * 1024 + "\nrest", filler=63),
    "far-too-long": stream("\nrest", [255], filler=70),
    "endless-exactly-at-the-cap": stream("", filler=64),
    "one-byte-below-the-cap": stream("x" * 1023, [251], filler=63),
    "nothing": b"",
}

HEADER = {
    "peer-ports": f"{BOB} FROM_PORT=1111 TO_PORT=2222\n",
    "peer-ports-zero": f"{BOB} FROM_PORT=0 TO_PORT=0\n",
    "peer-ports-largest": f"{BOB}  TO_PORT=65535\tFROM_PORT=65535 \r\n",
    "peer-i2pd": f"{BOB}\n",
    "peer-unterminated": f"{BOB} FROM_PORT=0 TO_PORT=22",
    "peer-dsa": f"{DSA_PUB} FROM_PORT=0 TO_PORT=1234\n",
    "peer-p521": f"{b64(public(P521))} FROM_PORT=7 TO_PORT=80\n",
    "peer-unknown-signature-type": f"{b64(public(certificate(99)))}\n",
    "peer-unknown-pair": f"{BOB} NEW=1 FROM_PORT=5 LONE TO_PORT=6\n",
    "peer-port-quoted": f'{BOB} FROM_PORT="5" TO_PORT="6"\n',
    "peer-port-quote-unterminated": f'{BOB} FROM_PORT="5\n',
    "peer-port-alone": f"{BOB} FROM_PORT TO_PORT\n",
    "peer-port-twice": f"{BOB} FROM_PORT=5 FROM_PORT=6\n",
    "peer-port-70000": f"{BOB} FROM_PORT=0 TO_PORT=70000\n",
    "peer-port-word": f"{BOB} FROM_PORT=abc TO_PORT=0\n",
    "peer-port-plus": f"{BOB} FROM_PORT=+5\n",
    "peer-port-empty": f"{BOB} FROM_PORT=\n",
    "peer-cut": f"{BOB[:400]}\n",
    "peer-cut-at-four": f"{BOB[:516]}\n",
    "peer-private-key": f"{PRIV} FROM_PORT=0 TO_PORT=0\n",
    "peer-standard-base64": BOB.replace("-", "+").replace("~", "/") + "\n",
    "late-error": 'STREAM STATUS RESULT=I2P_ERROR MESSAGE="Session is closed"\n',
    "late-already-accepting": 'STREAM STATUS RESULT=ALREADY_ACCEPTING MESSAGE="a forwarding server is already defined for this destination"\n',
    "late-unterminated": "STREAM STATUS RESULT=CANT_REACH_PEER",
    "session-error": 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="PONG timeout"\n',
    "ping": "PING 1795375816695\n",
    "payload-instead": "hello 1\n",
    "empty-line": "\n",
    "invalid-utf8": b"\xff" + BOB.encode() + b"\n",
}

DESTINATION = {
    "bytes-ed25519": public(),
    "bytes-dsa-null": public(NULL),
    "bytes-dsa-key": public(certificate(0)),
    "bytes-p256": public(certificate(1)),
    "bytes-p384": public(certificate(2)),
    "bytes-p521": public(P521),
    "bytes-reddsa": public(certificate(11)),
    "bytes-x25519": public(X25519),
    "bytes-unknown-type": public(certificate(99, 4, b"\1\2")),
    "bytes-zeros": bytes(387),
    "bytes-cut": public()[:390],
    "bytes-cut-before-certificate": public()[:384],
    "bytes-one-more": public() + b"\0",
    "bytes-private-key": private(),
    "bytes-hashcash": public(b"\1\0\0"),
    "bytes-null-with-payload": public(b"\0\0\4\0\7\0\0"),
    "bytes-key-without-types": public(b"\5\0\0"),
    "bytes-ed25519-excess": public(certificate(7, excess=b"\x09")),
    "bytes-p521-without-excess": public(certificate(3)),
    "base64-ed25519": PUB,
    "base64-ed25519-port": f"{PUB}:80",
    "base64-dsa": DSA_PUB,
    "base64-p521": b64(public(P521)),
    "base64-unpadded": PUB.rstrip("="),
    "base64-cut": PUB[:516],
    "base64-stray-bits": PUB[:-3] + "B==",
    "base64-standard": PUB.replace("-", "+").replace("~", "/"),
    "base64-line-end": PUB + "\n",
    "base64-private-key": PRIV,
    "base64-bad-certificate": b64(public(b"\1\0\0")),
    "base64-i2p-port": f"{PUB}.i2p:80",
    "hash-datagram3": b64(noise(32, "hash")),
    "link-http": f"http://{B32}:8080/cgi-bin/dashboard.cgi?sort=up#top",
    "link-announce": f"{PUB}.i2p/announce.php",
    "link-helper-base64": f"http://name.i2p/?i2paddresshelper={PUB.replace('=', '%3D')}",
    "link-helper-b32": f"http://name.i2p:80/?a=b&i2paddresshelper={B32}",
    "link-helper-of-another": f"http://{B32}/?i2paddresshelper={b64(public(seed='bob'))}",
    "link-helper-name": "i2p://name.i2p?i2paddresshelper=other.i2p",
    "link-user-info": f"http://stats.i2p@{B32}/",
    "link-clearnet": "https://example.com/a.i2p",
    "b32": B32,
    "b32-without-suffix": B32.removesuffix(".b32.i2p"),
    "b32-port-0": f"{B32}:0",
    "b32-capitals": f"{B32.upper()}:65535",
    "b32-short": "short.b32.i2p",
    "b32-badbase32": "1" * 52 + ".b32.i2p",
    "b32-stray-bits": "a" * 51 + "b.b32.i2p",
    "b32-bare": "b32.i2p",
    "b33-ed25519": b33(),
    "b33-secret-and-client-key-port": b33(flags=6) + ":443",
    "b33-two-byte-types": b33(flags=1, types=b"\0\x0b\0\x0b"),
    "b33-capitals": b33(types=b"\x0b\x0b").upper(),
    "b33-p521": b33(types=b"\3\x0b", key=noise(132, "b33")),
    "b33-unknown-flag": b33(flags=8),
    "b33-wrong-key-length": b33(key=noise(35, "b33")),
    "name": "stats.i2p",
    "name-capitals-port": "WwW.Stats.I2P:080",
    "name-longest": "a." * 125 + "b.i2p",
    "name-too-long": "a." * 126 + "b.i2p",
    "name-label-longest": "a" * 63 + ".i2p",
    "name-label-too-long": "b." + "a" * 64 + ".i2p",
    "name-empty-label": "a..i2p",
    "name-blank": "two words.i2p",
    "name-quote": 'a"b.i2p',
    "name-beyond-ascii": "b\u00fccher.i2p",
    "name-two-ports": "a.i2p:80:81",
    "port-65536": "a.i2p:65536",
    "port-plus": "a.i2p:+80",
    "port-empty": "a.i2p:",
    "clearnet": "example.com",
    "me": "ME",
    "empty": "",
}

KEY = {
    "bytes-ed25519": private(),
    "bytes-dsa": private(NULL, 20),
    "bytes-p256": private(certificate(1)),
    "bytes-p384": private(certificate(2), 48),
    "bytes-p521": private(P521, 66),
    "bytes-reddsa": private(certificate(11)),
    "bytes-x25519-long": private(X25519),
    "bytes-x25519-short": private(X25519, encryption=32),
    "bytes-offline": offline(),
    "bytes-offline-short": offline(X25519, encryption=32),
    "bytes-offline-dsa-by-p521": offline(P521, 66, 132, transient=0, key=(128, 20)),
    "bytes-offline-cut": offline()[:-1],
    "bytes-offline-cut-in-head": offline()[:683],
    "bytes-offline-unknown-type": offline(transient=99),
    "bytes-offline-blank-transient": offline()[:-32] + bytes(32),
    "bytes-blank-signing-key": public() + bytes(288),
    "bytes-zeros": bytes(884),
    "bytes-cut": private()[:-1],
    "bytes-one-more": private() + b"\1",
    "bytes-short-form-without-x25519": private(encryption=32),
    "bytes-x25519-neither-form": private(X25519, encryption=100),
    "bytes-public-only": public(),
    "bytes-cut-in-destination": public()[:200],
    "bytes-bad-certificate": private(b"\2\0\0"),
    "bytes-unknown-signature-type": private(certificate(99)),
    "base64-ed25519": PRIV,
    "base64-dsa": DSA_PRIV,
    "base64-offline": b64(offline()),
    "base64-x25519-short": b64(private(X25519, encryption=32)),
    "base64-public-only": PUB,
    "base64-line-end": PRIV + "\n",
    "base64-unpadded": PRIV.rstrip("="),
    "base64-cut-emissary": PRIV[:828],
    "base64-standard": PRIV.replace("-", "+").replace("~", "/"),
    "base64-short": "AAAA",
    "transient": "TRANSIENT",
    "not-base64": "notbase64!!",
    "empty": "",
}

HASH = b64(noise(32, "hash"))

DATAGRAM_HEADER = {
    "java": f"{BOB} FROM_PORT=12 TO_PORT=34\nhello with ports",
    "emissary": f"{BOB} FROM_PORT=0 TO_PORT=0\nping payload",
    "i2pd": f"{BOB}\nhello dgram 2",
    "i2pd-payload-like-ports": f"{BOB}\n FROM_PORT=1 TO_PORT=2\n",
    "i2pd-datagram3": f"{HASH}\nhello dgram 2",
    "raw-java": "PROTOCOL=18 FROM_PORT=0 TO_PORT=0\nraw hello",
    "raw-protocol-256": "PROTOCOL=256 FROM_PORT=0 TO_PORT=0\n",
    "no-line": "hello",
    "empty": "",
    "nobody": "\nhello",
    "port-70000": f"{HASH} FROM_PORT=70000\nx",
    "port-twice": f"{HASH} TO_PORT=1 TO_PORT=2\r\nx",
    "invalid-utf8": b"\xff\xfe\nx",
    "line-of-2049": "A" * 2048 + "\n",
}

# The first byte says what the bytes meet, the second how long the pieces are.
STREAMS, DATAGRAMS, RAW, SUBSESSIONS, ACCEPT = range(5)
SENDER = b64(public()).encode()
RECEIVED = b"DATAGRAM RECEIVED DESTINATION=" + SENDER

def script(scene, said, piece=255):
    return bytes([scene, piece]) + said

CONTROL_SCRIPT = {
    "empty": b"",
    "streams-silence": script(STREAMS, b""),
    "streams-ping": script(STREAMS, b"PING 1\nPING\nPONG 2\nPING two words\n", 3),
    "streams-refused": script(STREAMS, b'SESSION STATUS RESULT=I2P_ERROR MESSAGE="PONG timeout"\n'),
    "streams-no-line-end": script(STREAMS, b"SESSION STATUS RESULT=I2P_ERROR"),
    "streams-too-long": script(STREAMS, b"A" * 66000),
    "streams-datagram": script(STREAMS, RECEIVED + b" SIZE=5\nhello"),
    "datagram": script(DATAGRAMS, RECEIVED + b" SIZE=5 FROM_PORT=1 TO_PORT=2\nhello"),
    "datagram-dripping": script(DATAGRAMS, b"PING 1\n" + RECEIVED + b" SIZE=7\nPING 2\nPING 3\n", 1),
    "datagram-empty": script(DATAGRAMS, RECEIVED + b" SIZE=0\n"),
    "datagram-no-size": script(DATAGRAMS, RECEIVED + b"\nhello"),
    "datagram-huge-size": script(DATAGRAMS, RECEIVED + b" SIZE=99999999999999999999\nhello"),
    "datagram-cut": script(DATAGRAMS, RECEIVED + b" SIZE=9\nhello"),
    "datagram-no-sender": script(DATAGRAMS, b"DATAGRAM RECEIVED SIZE=5\nhello"),
    "datagram-no-text": script(DATAGRAMS, b"DATAGRAM RECEIVED \xff\xfe SIZE=5\nhello"),
    "raw": script(RAW, b"RAW RECEIVED SIZE=5 PROTOCOL=18 FROM_PORT=0 TO_PORT=0\nhelloRAW RECEIVED SIZE=1\nx"),
    "raw-bad-protocol": script(RAW, b"RAW RECEIVED SIZE=5 PROTOCOL=256 FROM_PORT=0 TO_PORT=0\nhello"),
    "subsession-java": script(SUBSESSIONS, b'SESSION STATUS RESULT=OK ID="ps" MESSAGE="ADD ps"\n'),
    "subsession-i2pd": script(SUBSESSIONS, b"SESSION STATUS RESULT=OK DESTINATION=" + SENDER + b"\n"),
    "subsession-refused": script(SUBSESSIONS, b'SESSION STATUS RESULT=I2P_ERROR ID="ps" MESSAGE="Duplicate ID ps"\n'),
    "accept-peer": script(ACCEPT, b"STREAM STATUS RESULT=OK\n" + SENDER + b" FROM_PORT=1 TO_PORT=2\nhello"),
    "accept-late-error": script(ACCEPT, b"STREAM STATUS RESULT=OK\nSTREAM STATUS RESULT=ALREADY_ACCEPTING\n"),
    "accept-refused": script(ACCEPT, b'STREAM STATUS RESULT=I2P_ERROR MESSAGE="no"\n'),
    "accept-nonsense": script(ACCEPT, b"HELLO\nWORLD\n"),
    "accept-silence": script(ACCEPT, b""),
    "accept-half-a-line": script(ACCEPT, b"STREAM STATUS RESULT=OK\n" + SENDER),
}

TARGETS = {
    "message": MESSAGE,
    "command": COMMAND,
    "line": LINE,
    "header": HEADER,
    "datagram_header": DATAGRAM_HEADER,
    "control_script": CONTROL_SCRIPT,
    "destination": DESTINATION,
    "private_key": KEY,
}

for target, seeds in TARGETS.items():
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed if isinstance(seed, bytes) else seed.encode())
    print(f"{target}: {len(seeds)} seeds, {sum(len(f.read_bytes()) for f in folder.iterdir())} bytes in all")
