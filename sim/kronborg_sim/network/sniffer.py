"""Look at the packets of a tunnel on the cable: `python -m kronborg_sim.network.sniffer INTERFACE PATTERN`.

Until its input ends it counts, and then prints JSON: by which session keys packets are encrypted (the receiver's index
in WireGuard's packets, the SPI in ESP), handshakes, and packets that have the pattern in the clear.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from collections import Counter

EVERYTHING = 3
WIREGUARD_DATA, WIREGUARD_INITIATION = 4, 1
IKE_SA_INIT = 34


def look(packet: bytes, pattern: bytes, counts: Counter[str]) -> None:
    """Count an Ethernet frame."""
    if pattern in packet:
        counts["clear"] += 1
    if len(packet) < 42 or packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_UDP:
        return
    start = 14 + 4 * (packet[14] & 15)
    ports, payload = struct.unpack_from("!HH", packet, start), packet[start + 8 :]
    if 500 in ports or (4500 in ports and payload[:4] == b"\0\0\0\0"):
        ike = payload[4:] if 4500 in ports else payload
        # The responder's SPI is not known yet in a request that begins an IKE_SA.
        if len(ike) > 18 and ike[18] == IKE_SA_INIT and ike[8:16] == bytes(8):
            counts["handshakes"] += 1
    elif 4500 in ports:
        if len(payload) > 8:
            counts[f"session {payload[:4].hex()}"] += 1
    elif payload[:4] == struct.pack("<I", WIREGUARD_DATA):
        counts[f"session {payload[4:8].hex()}"] += 1
    elif payload[:4] == struct.pack("<I", WIREGUARD_INITIATION):
        counts["handshakes"] += 1


def main(interface: str, pattern: str) -> None:
    """Count until standard input ends, and print."""
    counts: Counter[str] = Counter()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING)) as wire:
        wire.bind((interface, 0))
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([wire, sys.stdin], [], [])
            if wire in ready:
                look(wire.recv(65536), bytes.fromhex(pattern), counts)
            elif sys.stdin in ready:
                break
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
