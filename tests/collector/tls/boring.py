"""A small BoringSSL: the functions that are looked for, with the same errors in the same order, compiled here."""

from __future__ import annotations

from pathlib import Path

from tests.collector.tls.elfs import build

#: function -> whether it is looked for
FUNCTIONS = ("SSL_read", "SSL_write", "SSL_do_handshake", "SSL_set_tlsext_host_name")

_SOURCE = """
typedef struct { void *quic; int (*handshake)(void *); int init; long pending; char *data; const char *name; } SSL;
#define LIBRARY __attribute__((noinline, visibility("hidden")))
#define APART __attribute__((noipa, visibility("hidden")))
@LABELS@
static const char file[] = "@FILE@";
volatile int sink;
APART void ERR_put_error(@ERROR@) { sink = reason + line + *file; }
APART void copy(void *to, const void *from, long size) { sink = size; }
APART void fill(SSL *ssl) { ssl->pending = 9; }
#define FAIL(REASON, LINE) (ERR_put_error(@CALL@), -1)
LIBRARY int SSL_do_handshake(SSL *ssl) { return ssl->handshake ? ssl->handshake(ssl) : FAIL(134, 724); }
LIBRARY int SSL_connect(SSL *ssl) { ssl->init = 1; return ssl->handshake ? ssl->handshake(ssl) : FAIL(134, 724); }
APART int impl(SSL *ssl) {
    if (!ssl->handshake) return FAIL(226, 839);
    while (!ssl->pending) {
        if (ssl->init) {
            int done = SSL_do_handshake(ssl);
            if (done < 0) return done;
            if (!done) return FAIL(215, 872);
        }
        fill(ssl);
    }
    return 1;
}
static @PEEK@ int peek(SSL *ssl, char *to, int size) {
    if (ssl->quic) return FAIL(66, 933);
    int done = impl(ssl);
    if (done <= 0 || size <= 0) return done;
    if (size > ssl->pending) size = ssl->pending;
    copy(to, ssl->data, size);
    return size;
}
int SSL_peek(SSL *ssl, char *to, int size) { return peek(ssl, to, size); }
LIBRARY int SSL_read(SSL *ssl, char *to, int size) {
    int done = peek(ssl, to, size);
    if (done <= 0) return done;
    ssl->data += done;
    ssl->pending -= done;
    return done;
}
LIBRARY int SSL_write(SSL *ssl, const char *from, int size) {
    if (ssl->quic) return FAIL(66, 955);
    if (!ssl->handshake) return FAIL(226, 960);
    if (ssl->init) {
        int done = SSL_do_handshake(ssl);
        if (done < 0) return done;
        if (!done) return FAIL(215, 975);
    }
    if (size < 0) return FAIL(@LAST@, 981);
    copy(ssl->data, from, size);
    return size;
}
LIBRARY int SSL_set_tlsext_host_name(SSL *ssl, const char *name) {
    if (!*name) return FAIL(213, 2324);
    copy(ssl->data, name, 255);
    ssl->name = ssl->data;
    return 1;
}
int main(int count, char **texts) {
    SSL ssl = {0};
    SSL_set_tlsext_host_name(&ssl, texts[0]);
    @CONNECT@
    return SSL_write(&ssl, texts[0], count) + SSL_read(&ssl, texts[0], count);
}
"""
_LABELS = ("c hs traffic", "s hs traffic", "c ap traffic", "s ap traffic")


def boring(
    where: Path,
    *flags: str,
    file: str = "../vendor/boringssl/ssl/ssl_lib.cc",
    peek: str = "inline __attribute__((always_inline))",
    dropped: bool = False,
    connect: bool = False,
    last: int = 111,
    more: str = "",
) -> Path:
    """Compiles it. ``peek``: how SSL_peek is; ``dropped``: errors without the argument that is always 0.

    ``connect``: SSL_connect, which has the handshake built in, is called; ``last``: the reason of BAD_LENGTH.
    """
    labels = "\n".join(f'const char label{n}[] = "{label}";' for n, label in enumerate(_LABELS))
    parameters = "int library, int reason" if dropped else "int library, int unused, int reason"
    parts = {
        "LABELS": labels,
        "FILE": file,
        "PEEK": peek,
        "ERROR": f"{parameters}, const char *file, unsigned line",
        "CALL": f"16, {'' if dropped else '0, '}REASON, file, LINE",
        "CONNECT": "SSL_connect(&ssl);" if connect else "",
        "LAST": str(last),
    }
    source = _SOURCE
    for name, part in parts.items():
        source = source.replace(f"@{name}@", part)
    return build(where, source + more, "-O2", "-falign-functions=16", *flags)
