"""Ed25519 signature checking, after RFC 8032, section 5.1 and its appendix A. Slow, and only for public data."""
import hashlib

p = 2**255 - 19
q = 2**252 + 27742317777372353535851937790883648493
d = -121665 * pow(121666, p - 2, p) % p
root_of_minus_1 = pow(2, (p - 1) // 4, p)


def add(P, Q):
    A, B = (P[1] - P[0]) * (Q[1] - Q[0]) % p, (P[1] + P[0]) * (Q[1] + Q[0]) % p
    C, D = 2 * P[3] * Q[3] * d % p, 2 * P[2] * Q[2] % p
    E, F, G, H = B - A, D - C, D + C, B + A
    return (E * F % p, G * H % p, F * G % p, E * H % p)


def multiply(s, P):
    Q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            Q = add(Q, P)
        P = add(P, P)
        s >>= 1
    return Q


def same(P, Q):
    return (P[0] * Q[2] - Q[0] * P[2]) % p == 0 and (P[1] * Q[2] - Q[1] * P[2]) % p == 0


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x2 = (y * y - 1) * pow(d * y * y + 1, p - 2, p) % p
    x = pow(x2, (p + 3) // 8, p)
    if (x * x - x2) % p != 0:
        x = x * root_of_minus_1 % p
    if y >= p or (x * x - x2) % p != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = p - x
    return (x, y, 1, x * y % p)


base = point((4 * pow(5, p - 2, p) % p).to_bytes(32, "little"))


def is_signed(public_key, message, signature):
    A, R = point(public_key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if A is None or R is None or s >= q or len(signature) != 64:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % q
    return same(multiply(s, base), add(R, multiply(h, A)))
