"""Verifies exports and proofs of boxledger's log, written from docs/log-format.md alone. Standard library only.

  verify.py export FILE KEY...     verify.py proof FILE KEY...     verify.py vectors DIRECTORY

KEY is a public key as 64 hexadecimal digits. Exit 0: all is right; 1: it says what is not.
"""
import json, sys
from decimal import Decimal
from hashlib import sha256
from ed25519 import is_signed

ZEROS = "00" * 32


def number(n):
    if isinstance(n, int) and abs(n) < 2**53:
        return str(n)
    sign, digits, exponent = Decimal(repr(float(n))).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if float(n) == 0:
        return "0"
    if len(text) <= point <= 21:
        text += "0" * (point - len(text))
    elif 0 < point <= 21:
        text = text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        text = text[0] + ("." + text[1:] if len(text) > 1 else "") + "e" + ("+" if point > 0 else "") + str(point - 1)
    return ("-" if sign else "") + text


def canonical(value):
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def jcs(value):
    return canonical(value).encode("utf-8")


def event_hash(previous, envelope):
    return sha256(bytes.fromhex(previous or ZEROS) + jcs(envelope)).hexdigest()


def place(pair):
    return (int(pair["transactionId"]), int(pair["position"]))


def leaf(event):
    transaction, position = place(event)
    return transaction.to_bytes(8, "big") + position.to_bytes(8, "big") + bytes.fromhex(event["hash"])


def split(n):
    return 1 << ((n - 1).bit_length() - 1)


def tree(entries):
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\1" + tree(entries[:k]) + tree(entries[k:])).digest()


def root_by_path(entry, index, n, path):
    if n == 1:
        return sha256(b"\0" + entry).digest() if index == 0 and not path else None
    if not path or not 0 <= index < n:
        return None
    k, beside, rest = split(n), bytes.fromhex(path[-1]), path[:-1]
    below = root_by_path(entry, index if index < k else index - k, k if index < k else n - k, rest)
    return below and sha256(b"\1" + (below + beside if index < k else beside + below)).digest()


def check_signature(line, keys):
    body = line["body"]
    assert body["format"] == "boxledger-checkpoint/1", "not a checkpoint"
    key = keys.get(body["keyId"])
    assert key, "checkpoint %d: unknown key" % body["sequence"]
    assert is_signed(key, jcs(body), bytes.fromhex(line["signature"])), "checkpoint %d: bad signature" % body["sequence"]


def check_inclusion(event, inclusion, body):
    root = root_by_path(leaf(event), inclusion["index"], body["count"], inclusion["path"])
    assert inclusion["sequence"] == body["sequence"] and root and root.hex() == body["root"], "bad inclusion"


def check_proof(proof, keys):
    event = proof["event"]
    assert proof["format"] == "boxledger-proof/1", "not a proof"
    assert event_hash(event["previousHash"], event["envelope"]) == event["hash"], "bad event"
    check_signature(proof["checkpoint"], keys)
    check_inclusion(event, proof["proof"], proof["checkpoint"]["body"])


def check_export(lines, keys):
    header = json.loads(next(lines))
    assert header["kind"] == "header" and header["format"] == "boxledger-export/1", "not an export"
    scope, streams, counts, pending = header["scope"], {}, {"event": 0, "checkpoint": 0}, []
    last_place, before, ended = (0, 0), None, False
    for text in lines:
        line = json.loads(text)
        kind = line["kind"]
        assert not ended, "lines after the last"
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "event":
            envelope = line["envelope"]
            stream, version = envelope["streamId"], envelope["version"]
            name = "%s version %d" % (stream, version)
            known = streams.get(stream)
            if known is None and scope["fromSequence"] > 1:
                known = (version - 1, line["previousHash"])
            last_version, previous = known or (0, ZEROS)
            assert version == last_version + 1, name + ": out of order"
            assert event_hash(previous, envelope) == line["hash"], name + ": bad hash"
            streams[stream] = (version, line["hash"])
            assert scope["streamId"] in (None, stream), name + ": another stream"
            assert scope["streamId"] or place(line) > last_place, name + ": out of order"
            last_place = place(line)
            pending.append(leaf(line))
            if "proof" in line:
                check_inclusion(line, line["proof"], before["body"])
        elif kind == "checkpoint":
            body = line["body"]
            check_signature(line, keys)
            if scope["streamId"] is None:
                check_link(body, before, scope["fromSequence"])
                assert body["count"] == len(pending) and body["root"] == tree(pending).hex(), "checkpoint %d: bad root" % body["sequence"]
                assert place(body["to"]) == last_place, "checkpoint %d: bad end" % body["sequence"]
            before, pending = line, []
        elif kind == "end":
            ended = line["events"] == counts["event"] and line["checkpoints"] == counts["checkpoint"]
            assert ended, "wrong counts"
    assert ended, "no last line"
    return counts["event"], counts["checkpoint"], len(pending)


def check_link(body, before, first_sequence):
    if before is None:
        assert body["sequence"] == first_sequence, "checkpoint missing"
        expected = (ZEROS, (0, 0), body["logId"], body["count"]) if first_sequence == 1 else None
    else:
        b = before["body"]
        assert body["sequence"] == b["sequence"] + 1, "checkpoint missing"
        expected = (sha256(jcs(b)).hexdigest(), place(b["to"]), b["logId"], b["total"] + body["count"])
    found = (body["previous"], place(body["after"]), body["logId"], body["total"])
    assert expected in (None, found), "checkpoint %d: does not follow" % body["sequence"]


def check_vectors(directory):
    read = lambda name: json.load(open(directory + "/" + name, encoding="utf-8"))
    for case in read("event-hash.json"):
        assert canonical(case["envelope"]) == case["canonical"], case["name"]
        assert event_hash(case["previous"], case["envelope"]) == case["hash"], case["name"]
    merkle = read("merkle.json")
    inputs = [bytes.fromhex(text) for text in merkle["inputs"]]
    for size, root in enumerate(merkle["roots"], 1):
        assert tree(inputs[:size]).hex() == root, "root of %d" % size
    for case in merkle["paths"]:
        found = root_by_path(inputs[case["index"]], case["index"], case["size"], case["path"])
        assert found.hex() == merkle["roots"][case["size"] - 1], case
    for case in merkle["leaves"]:
        entry = leaf({**case, "hash": case["eventHash"]})
        assert entry.hex() == case["leaf"] and tree([entry]).hex() == case["leafHash"], case
    vector = read("checkpoint.json")
    keys = key_ring([vector["publicKey"]])
    assert list(keys) == [vector["keyId"]], "key id"
    for case in vector["checkpoints"]:
        assert canonical(case["body"]) == case["canonical"], "body"
        assert sha256(jcs(case["body"])).hexdigest() == case["hash"], "hash"
        check_signature(case, keys)
    check_proof(read("proof.json"), keys)
    return check_export(open(directory + "/export.ndjson", encoding="utf-8"), keys)


def key_ring(keys):
    return {sha256(bytes.fromhex(key)).hexdigest()[:16]: bytes.fromhex(key) for key in keys}


if __name__ == "__main__":
    command, target, keys = sys.argv[1], sys.argv[2], key_ring(sys.argv[3:])
    try:
        if command == "vectors":
            print("ok", *check_vectors(target))
        elif command == "proof":
            check_proof(json.load(open(target, encoding="utf-8")), keys)
            print("ok")
        else:
            print("ok", *check_export(open(target, encoding="utf-8"), keys))
    except AssertionError as problem:
        print("wrong:", problem)
        sys.exit(1)
