/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * net.h: whom the lineage talks to: connect, accept, bind, listen with the address that the kernel holds, bytes
 * of each TCP flow, DNS answers that the lineage reads.
 *
 * Flows are counted by the kernel itself (struct tcp_sock): they are read when the connection is established and
 * when it is closed, which may happen in an interrupt with another task current, so `flows` remembers whose
 * socket it is. Other protocols have no such counters: their bytes are not told.
 */
#ifndef POLYGRAPH_NET_H
#define POLYGRAPH_NET_H

#include "core.h"
#include "delegate.h"
#include "file.h"
#include "sock.h"

#define EINPROGRESS 115
#define MSG_FASTOPEN 0x20000000
#define SOCK_DONE 1 /* enum sock_flags of include/net/sock.h: tcp_fin() sets it */
#define PG_UNIX_PATH 108
#define PG_DNS_MAX 4096
#define PG_DNS_PORT 53

struct pg_owner {
	__u64 session;
	__u64 start;
	__u64 cookie;
	__u32 pid;
	__u32 established;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* rows go when the socket is closed; one that finds no room is counted */
	__uint(max_entries, 16384);
	__type(key, __u64); /* address of the struct sock */
	__type(value, struct pg_owner);
} flows SEC(".maps");

struct pg_sockaddr {
	__u16 family;
	__u16 port; /* inet: network order */
	__u32 word; /* inet: address; vsock: port */
	union {
		__u8 addr6[16];
		__u32 cid;
	};
};

PG_INLINE void pg_addresses(struct sock *sk, struct pg_addr *remote, struct pg_addr *local)
{
	__u16 family = PG_READ(sk, __sk_common.skc_family);

	local->family = remote->family = family;
	if (family != AF_INET && family != AF_INET6)
		return;
	remote->port = pg_host16(PG_READ(sk, __sk_common.skc_dport));
	local->port = PG_READ(sk, __sk_common.skc_num);
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((__u32 *)remote->addr, sk, __sk_common.skc_daddr);
		BPF_CORE_READ_INTO((__u32 *)local->addr, sk, __sk_common.skc_rcv_saddr);
	} else {
		BPF_CORE_READ_INTO(&remote->addr, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&local->addr, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	}
}

/* The address argument of a call, where the socket itself does not hold it: refused, datagram, unix, vsock. */
PG_INLINE void pg_argument_address(struct pg_addr *to, const void *argument)
{
	struct pg_sockaddr given = {};

	bpf_probe_read_user(&given, sizeof(given), argument);
	to->family = given.family;
	if (given.family == AF_INET) {
		to->port = pg_host16(given.port);
		__builtin_memcpy(to->addr, &given.word, 4);
	} else if (given.family == AF_INET6) {
		to->port = pg_host16(given.port);
		__builtin_memcpy(to->addr, given.addr6, 16);
	} else if (given.family == AF_VSOCK) {
		to->port32 = given.word;
		to->cid = given.cid;
	}
}

PG_INLINE void pg_flow_send(struct sock *sk, struct pg_owner *owner, bool closed)
{
	struct pg_session *session = pg_session_of(owner->session);
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct pg_flow record = {};

	pg_header(&record.hdr, bpf_get_current_task_btf(), session, owner->session, PG_FLOW, sizeof(record));
	record.hdr.pid = owner->pid; /* not the current task, which may be anyone */
	record.hdr.tid = owner->pid;
	record.hdr.start = owner->start;
	record.cookie = owner->cookie;
	record.sent = PG_READ(tcp, bytes_sent) - PG_READ(tcp, bytes_retrans);
	/* The peer's FIN has a sequence number and counts as a byte. */
	record.received = PG_READ(tcp, bytes_received) - (PG_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1);
	pg_addresses(sk, &record.remote, &record.local);
	record.protocol = IPPROTO_TCP;
	record.established = owner->established;
	record.closed = closed;
	pg_send(&effects, &record, sizeof(record), session, PG_DIM_NETWORK, BPF_RB_NO_WAKEUP);
}

/* What flows through the socket `fd` is the current process's from now on. Not static, for the verifier's sake. */
__noinline int pg_flow_own(__s64 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_owner owner = {};
	struct sock *sk;
	__u64 key;
	__u8 state;

	if (!mine)
		return 0;
	sk = pg_sock_of(task, fd, &owner.cookie);
	if (!sk)
		return 0;
	key = pg_number(sk);
	owner.session = mine->session;
	owner.start = PG_READ(task, group_leader, start_boottime);
	owner.pid = PG_READ(task, tgid);
	if (bpf_map_update_elem(&flows, &key, &owner, BPF_ANY))
		pg_lose(pg_session_of(mine->session), PG_DIM_NETWORK, PG_LOSS_MAP);
	/* On loopback the handshake is over before connect() returns: its states came before the entry. */
	state = PG_READ(sk, __sk_common.skc_state);
	if (state == TCP_ESTABLISHED || state == TCP_CLOSE) {
		owner.established = state == TCP_ESTABLISHED;
		if (state == TCP_CLOSE)
			bpf_map_delete_elem(&flows, &key);
		else
			bpf_map_update_elem(&flows, &key, &owner, BPF_ANY);
		pg_flow_send(sk, &owner, state == TCP_CLOSE);
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(pg_on_socket_state, struct sock *sk, int old, int new)
{
	__u64 key = (__u64)sk;
	struct pg_owner *owner;

	if (new == TCP_SYN_SENT || old == TCP_SYN_SENT)
		pg_delegate_handshake(sk, old, new);
	if (new != TCP_ESTABLISHED && new != TCP_FIN_WAIT1 && new != TCP_LAST_ACK && new != TCP_CLOSE)
		return 0;
	owner = bpf_map_lookup_elem(&flows, &key);
	if (!owner)
		return 0;
	if (new == TCP_ESTABLISHED)
		owner->established = 1;
	pg_flow_send(sk, owner, new == TCP_CLOSE);
	if (new == TCP_CLOSE)
		bpf_map_delete_elem(&flows, &key);
	return 0;
}

/* Done, or going on: a connect that a signal interrupts does. */
PG_INLINE bool pg_connecting(long result)
{
	return result >= 0 || result == -EINPROGRESS || pg_errno(result) == EINTR;
}

#define PG_FLOWS (1ull << 32)

/*
 * What became of a call of the current process on its socket `fd`, told. `op`: enum pg_net_op. What is to be done
 * besides: PG_FLOWS, or the process that listens at the other end of a Unix socket; by pg_network(), since the stack holds
 * only one of them. Not static, and all arguments wide: the verifier looks at it once, not for each call, and 6.1
 * loses the bounds of narrow ones.
 */
__noinline __u64 pg_network_tell(__s64 result, __u64 op, __s64 fd, __u64 address, __u64 argument_len)
{
	const void *argument = (const void *)address;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_session *session;
	struct {
		struct pg_net net;
		char path[PG_UNIX_PATH];
	} record;
	__u32 size = sizeof(record.net), length;
	struct sock *sk;
	__u64 cookie = 0;

	if (!mine)
		return 0;
	sk = pg_sock_of(task, fd, &cookie);
	if (!sk)
		return 0;
	__builtin_memset(&record, 0, sizeof(record));
	record.net.op = op;
	record.net.error = pg_errno(result);
	record.net.cookie = cookie;
	record.net.protocol = PG_READ(sk, sk_protocol);
	pg_addresses(sk, &record.net.remote, &record.net.local);
	if (op == PG_NET_CONNECT && argument)
		pg_argument_address(&record.net.remote, argument);
	else if (op == PG_NET_BIND && argument && (result < 0 || (record.net.local.family != AF_INET && record.net.local.family != AF_INET6)))
		pg_argument_address(&record.net.local, argument);
	if (op == PG_NET_CONNECT && !result && record.net.local.family == AF_UNIX)
		record.net.peer_pid = PG_READ(sk, sk_peer_pid) ? PG_READ(sk, sk_peer_pid, numbers[0].nr) : 0;
	if (argument && (record.net.remote.family == AF_UNIX || record.net.local.family == AF_UNIX) && argument_len > 2) {
		length = argument_len - 2;
		if (length > PG_UNIX_PATH)
			length = PG_UNIX_PATH;
		barrier_var(length); /* keeps the mask, which 6.1 needs to see */
		length &= 127;
		if (!bpf_probe_read_user(record.path, length, argument + 2)) {
			record.net.unix_len = length;
			size += length;
		}
	}
	session = pg_session_of(mine->session);
	pg_header(&record.net.hdr, task, session, mine->session, PG_NET, size);
	if (size <= sizeof(record))
		pg_send(&effects, &record, size, session, PG_DIM_NETWORK, BPF_RB_NO_WAKEUP);
	if (record.net.protocol == IPPROTO_TCP && record.net.local.family != AF_UNIX &&
	    ((op == PG_NET_CONNECT && pg_connecting(result)) || op == PG_NET_ACCEPT))
		return PG_FLOWS;
	return record.net.peer_pid;
}

PG_INLINE int pg_network(__s64 result, __u64 op, __s64 fd, __u64 address, __u64 argument_len)
{
	__u64 besides = pg_network_tell(result, op, fd, address, argument_len);

	if (besides == PG_FLOWS)
		return pg_flow_own(fd);
	return besides ? pg_delegate_asks(fd, besides) : 0;
}

/* watch --auto: a process of no session connects. User space knows whether that address is an LLM API's. */
__noinline int pg_stranger_connects(__s64 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_candidate record = {};
	struct pg_addr local;
	struct sock *sk;
	__u64 cookie;

	sk = pg_sock_of(task, fd, &cookie);
	if (!sk)
		return 0;
	pg_addresses(sk, &record.remote, &local);
	if ((record.remote.family == AF_INET || record.remote.family == AF_INET6) && record.remote.port) {
		pg_header(&record.hdr, task, NULL, 0, PG_CANDIDATE, sizeof(record));
		pg_send(&effects, &record, sizeof(record), NULL, PG_DIM_NETWORK, BPF_RB_FORCE_WAKEUP);
	}
	return 0;
}

enum { NR_sendto = 44, NR_sendmsg = 46, NR_sendmmsg = 307 };

/* Sends that name their address: (session, socket, address) -> told. One that is forgotten is told again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u8);
} sent_to SEC(".maps");

#define PG_ADDRESS_WORDS 16 /* the longest address, of a unix socket, has 110 bytes */

/* Whether this address was told of `hash` (session and socket) before; in scratch, for want of stack. */
PG_INLINE bool pg_told_before(__u64 hash, __u64 address, __u32 length)
{
	struct pg_scratch *space = pg_scratch_take();
	__u64 *words;
	__u8 one = 1;

	if (!space)
		return false; /* told again */
	words = (__u64 *)space->data;
	__builtin_memset(words, 0, PG_ADDRESS_WORDS * 8);
	barrier_var(length);
	length &= PG_ADDRESS_WORDS * 8 - 1;
	bpf_probe_read_user(words, length, (void *)address);
	for (int i = 0; i < PG_ADDRESS_WORDS; i++) {
		hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15ull;
		hash ^= hash >> 29;
	}
	pg_scratch_give(space);
	return pg_add(&sent_to, &hash, &one) == -EEXIST;
}

/*
 * Whom a send names, told like a connect: a datagram without one, once for each socket and address, and what opens a
 * connection by sending (MSG_FASTOPEN). Of several messages in one call the first one's.
 */
SEC("tp")
int pg_on_send(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	__u64 message, address, cookie = 0;
	struct pt_regs *regs;
	__u32 length = 0, flags;
	struct sock *sk;
	__u16 family;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	if (ctx->nr == NR_sendto) {
		address = ARG5;
		length = ARG6;
		flags = ARG4;
	} else { /* struct user_msghdr of x86-64, which struct mmsghdr begins with: name, namelen */
		message = ARG2;
		address = 0;
		bpf_probe_read_user(&address, sizeof(address), (void *)message);
		bpf_probe_read_user(&length, sizeof(length), (void *)(message + 8));
		flags = ctx->nr == NR_sendmmsg ? ARG4 : ARG3;
	}
	if (!address || length < 2 || (ctx->ret < 0 && !(flags & MSG_FASTOPEN)))
		return 0;
	sk = pg_sock_of(task, ARG1, &cookie);
	if (!sk)
		return 0;
	family = PG_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	if (PG_READ(sk, sk_protocol) == IPPROTO_TCP) {
		if (!(flags & MSG_FASTOPEN))
			return 0; /* connected before: the address is ignored */
	} else if (pg_told_before(mine->session ^ cookie << 20, address, length)) {
		return 0;
	}
	return pg_network(ctx->ret < 0 ? ctx->ret : 0, PG_NET_CONNECT, ARG1, address, length);
}

enum { NR_connect = 42, NR_accept = 43, NR_recvfrom = 45, NR_recvmsg = 47, NR_bind = 49, NR_listen = 50, NR_accept4 = 288 };

SEC("tp")
int pg_on_network(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	long result = ctx->ret;
	int nr = ctx->nr;

	if (!pg_current()) {
		if (pg_auto && nr == NR_connect && pg_connecting(result))
			pg_stranger_connects(ARG1);
		if (pg_expecting && (nr == NR_accept || nr == NR_accept4) && result >= 0)
			pg_delegate_accepted(result);
		return 0;
	}
	if (nr == NR_accept || nr == NR_accept4) {
		if (result >= 0)
			pg_network(0, PG_NET_ACCEPT, result, 0, 0);
	} else if (nr == NR_listen) {
		pg_network(result, PG_NET_LISTEN, ARG1, 0, 0);
	} else {
		pg_network(result, nr == NR_bind ? PG_NET_BIND : PG_NET_CONNECT, ARG1, ARG2, ARG3);
	}
	return 0;
}

/* An answer of a name server, as the lineage (or, for watch --auto, anyone) received it. */
PG_INLINE int pg_dns_answer(long got, int fd, const void *data)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_session *session = NULL;
	struct pg_scratch *space;
	struct pg_dns *record;
	struct sock *sk;
	__u64 cookie, handle = 0;
	__u32 length, size;

	if (got <= 12 || (!mine && !pg_auto))
		return 0;
	sk = pg_sock_of(task, fd, &cookie);
	if (!sk || PG_READ(sk, sk_protocol) != IPPROTO_UDP ||
	    pg_host16(PG_READ(sk, __sk_common.skc_dport)) != PG_DNS_PORT)
		return 0;
	if (mine) {
		handle = mine->session;
		session = pg_session_of(handle);
	}
	space = pg_scratch_take();
	if (!space) {
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_NETWORK, PG_LOSS_SCRATCH);
		return 0;
	}
	record = (struct pg_dns *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	length = got > PG_DNS_MAX ? PG_DNS_MAX : got;
	if (length <= PG_DNS_MAX && !bpf_probe_read_user(&space->data[sizeof(*record)], length, data))
		record->data_len = length;
	size = sizeof(*record) + record->data_len;
	pg_header(&record->hdr, task, session, handle, PG_DNS, size);
	barrier_var(size);
	if (size <= sizeof(space->data))
		pg_send(&effects, record, size, session, PG_DIM_NETWORK, BPF_RB_NO_WAKEUP);
	pg_scratch_give(space);
	return 0;
}

SEC("tp")
int pg_on_receive(struct syscall_trace_exit *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 iov = 0, data;
	long result = ctx->ret;
	int nr = ctx->nr;

	if (result <= 12)
		return 0;
	if (!pg_current()) {
		if (pg_expecting && nr == NR_recvmsg)
			pg_delegate_heard(bpf_get_current_task_btf(), ARG1);
		if (!pg_auto)
			return 0;
	}
	data = ARG2;
	if (nr == NR_recvmsg) {
		/* struct user_msghdr and struct iovec of x86-64: the first buffer takes a DNS answer whole. */
		bpf_probe_read_user(&iov, sizeof(iov), (void *)(data + 16));
		bpf_probe_read_user(&data, sizeof(data), (void *)iov);
	}
	return pg_dns_answer(result, ARG1, (void *)data);
}

#endif
