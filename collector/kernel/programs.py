"""Which BPF program sits on which hook, and what is lost where a hook is missing. The table of all probes."""

from __future__ import annotations

from typing import NamedTuple

from polygraph.reasons import Dimension


class Program(NamedTuple):
    """One program of bpf/ and its hooks. Without ``tracepoints`` it attaches by its own section (tp_btf, raw_tp)."""

    name: str
    dimension: Dimension
    #: names under events/CATEGORY
    tracepoints: tuple[str, ...] = ()
    #: hooks (the program's own name for that of its section) that some kernels lack, and whose absence hides nothing:
    #: the call itself is absent as well, or another program takes over
    optional: frozenset[str] = frozenset()
    category: str = "syscalls"
    #: loaded and attached only where this program, of an earlier row, has none of its hooks
    instead_of: str = ""
    #: of a program without ``tracepoints``, the name under events/CATEGORY of its own hook, where some kernels lack
    #: that
    hook: str = ""


def _exits(*calls: str) -> tuple[str, ...]:
    return tuple(f"sys_exit_{call}" for call in calls)


#: one hook: its name since Linux 6.4, and before
_SUBMISSIONS = ("io_uring_submit_req", "io_uring_submit_sqe")

PROGRAMS: tuple[Program, ...] = (
    Program("pg_on_fork", "process"),
    Program("pg_on_exec", "process"),
    Program("pg_on_exit", "process"),
    Program("pg_on_cgroup", "process"),
    Program("pg_on_exec_result", "process", _exits("execve", "execveat")),
    Program("pg_on_open", "file", _exits("open", "openat", "openat2", "creat")),
    Program(
        "pg_on_path",
        "file",
        _exits(
            *(
                "unlink",
                "unlinkat",
                "rmdir",
                "mkdir",
                "mkdirat",
                "truncate",
                "chmod",
                "fchmodat",
                "fchmodat2",
            ),
            *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
        ),
        frozenset(_exits("fchmodat2")),  # the call came with Linux 6.6
    ),
    Program("pg_on_descriptor", "file", _exits("ftruncate", "fchmod")),
    # How far a file was read. The hook came with Linux 6.12; without it nothing is told, so nothing rests on it.
    Program(
        "pg_on_pages",
        "file",
        optional=frozenset({"pg_on_pages"}),
        category="filemap",
        hook="mm_filemap_get_pages",
    ),
    Program("pg_on_uring_submit", "file", _SUBMISSIONS, frozenset(_SUBMISSIONS), category="io_uring"),
    Program(
        "pg_on_uring_setup",
        "file",
        _exits("io_uring_setup"),
        frozenset(_exits("io_uring_setup")),  # a kernel may be built without it
        instead_of="pg_on_uring_submit",
    ),
    Program("pg_on_mmap", "tls", _exits("mmap")),
    Program("pg_on_network", "network", _exits("connect", "bind", "listen", "accept", "accept4")),
    Program("pg_on_send", "network", _exits("sendto", "sendmsg", "sendmmsg")),
    Program("pg_on_receive", "network", _exits("recvfrom", "recvmsg")),
    Program("pg_on_socket_state", "network"),
    # What has no TLS. The first two come with Linux 6.3; before, exits of the calls do their work.
    Program(
        "pg_on_plain_sent",
        "tls",
        optional=frozenset({"pg_on_plain_sent"}),
        category="sock",
        hook="sock_send_length",
    ),
    Program(
        "pg_on_plain_received",
        "tls",
        optional=frozenset({"pg_on_plain_received"}),
        category="sock",
        hook="sock_recv_length",
    ),
    Program(
        "pg_on_plain_call",
        "tls",
        _exits("read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg"),
        instead_of="pg_on_plain_sent",
    ),
    Program("pg_on_pipe_write", "tls", _exits("write", "writev")),
    Program("pg_on_plain_exec", "tls"),
    Program("pg_on_plain_connect", "tls", _exits("connect")),
    Program("pg_on_switch", "ipc"),
    Program("pg_on_waking", "ipc"),
    Program("pg_on_ipc_connect", "ipc", _exits("connect", "accept", "accept4")),
)


class TlsProgram(NamedTuple):
    """The program at a function's entry, and the one at its return, if any."""

    program: str
    returns: str = ""


TLS_RETURN = "pg_on_ssl_return"
#: by function of the TLS library, as collector/tls/discover.py names them
TLS_FUNCTIONS: dict[str, TlsProgram] = {
    # OpenSSL, and those that keep its interface
    "SSL_read": TlsProgram("pg_on_ssl_read", TLS_RETURN),
    "SSL_write": TlsProgram("pg_on_ssl_write", TLS_RETURN),
    "SSL_read_ex": TlsProgram("pg_on_ssl_read_ex", TLS_RETURN),
    "SSL_write_ex": TlsProgram("pg_on_ssl_write_ex", TLS_RETURN),
    "SSL_free": TlsProgram("pg_on_ssl_free"),
    # where SSL_free is not found: what was at this address before is over
    "SSL_do_handshake": TlsProgram("pg_on_ssl_free"),
    "SSL_ctrl": TlsProgram("pg_on_ssl_ctrl"),
    "SSL_set_tlsext_host_name": TlsProgram("pg_on_ssl_set_host"),
    "rustls::CommonState::buffer_plaintext": TlsProgram("pg_on_rustls_write", "pg_on_rustls_written"),
    "rustls::CommonState::take_received_plaintext": TlsProgram("pg_on_rustls_read"),
    # Go; " RET": the instructions at which it returns
    "crypto/tls.(*Conn).Read": TlsProgram("pg_on_go_read"),
    "crypto/tls.(*Conn).Read RET": TlsProgram("pg_on_go_read_return"),
    "crypto/tls.(*Conn).Write": TlsProgram("pg_on_go_write"),
    "crypto/tls.(*Conn).Write RET": TlsProgram("pg_on_go_write_return"),
    "crypto/tls.(*Conn).Close": TlsProgram("pg_on_go_close"),
    "crypto/tls.(*Conn).clientHandshake": TlsProgram("pg_on_go_close"),
    "gnutls_record_recv": TlsProgram("pg_on_ssl_read", TLS_RETURN),
    "gnutls_record_send": TlsProgram("pg_on_gnutls_send", TLS_RETURN),
    "gnutls_record_send2": TlsProgram("pg_on_gnutls_send", TLS_RETURN),
    "gnutls_record_send_range": TlsProgram("pg_on_gnutls_send", TLS_RETURN),
    "gnutls_record_uncork": TlsProgram("pg_on_gnutls_uncork", "pg_on_gnutls_uncorked"),
    "gnutls_server_name_set": TlsProgram("pg_on_gnutls_server_name"),
    "gnutls_deinit": TlsProgram("pg_on_ssl_free"),
    # NSS, in two libraries: libssl3 says which descriptors are TLS, libnspr4 has the calls
    "SSL_ImportFD": TlsProgram("", "pg_on_nss_imported"),
    "SSL_SetURL": TlsProgram("pg_on_ssl_set_host"),
    "PR_Read": TlsProgram("pg_on_pr_read", "pg_on_nss_return"),
    "PR_Recv": TlsProgram("pg_on_pr_recv", "pg_on_nss_return"),
    "PR_Write": TlsProgram("pg_on_pr_write", "pg_on_nss_return"),
    "PR_Send": TlsProgram("pg_on_pr_write", "pg_on_nss_return"),
    "PR_Writev": TlsProgram("pg_on_pr_writev", "pg_on_nss_return"),
    "PR_Close": TlsProgram("pg_on_pr_close"),
}
TLS_PROGRAMS = frozenset(name for row in TLS_FUNCTIONS.values() for name in row if name)
#: every program that sits on a hook -> the dimension that suffers when it did not run
DIMENSION_OF: dict[str, Dimension] = {
    **{program.name: program.dimension for program in PROGRAMS},
    **dict.fromkeys(sorted(TLS_PROGRAMS), "tls"),
}
#: the one by which a child comes into the lineage, and the one by which the lineage ends
FORK, EXIT = "pg_on_fork", "pg_on_exit"
ENROL = "pg_enrol"
#: the one that says how far files are read
PAGES = "pg_on_pages"
