/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * sock.h: from a descriptor to its socket, and a number for a connection that is the same at both ends. Shared by
 * net.h, plain.h and delegate.h.
 */
#ifndef POLYGRAPH_SOCK_H
#define POLYGRAPH_SOCK_H

#include "core.h"
#include "file.h"
#include "wire.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_VSOCK 40
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define S_IFSOCK 0140000
#define SOCK_STREAM 1

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_FIN_WAIT1 = 4, TCP_CLOSE = 7, TCP_LAST_ACK = 9 }; /* include/net/tcp_states.h */

PG_INLINE __u16 pg_host16(__u16 value)
{
	return __builtin_bswap16(value);
}

/* The socket behind descriptor `fd`, or NULL; its inode number into `cookie`. */
PG_INLINE struct sock *pg_sock_of(struct task_struct *task, int fd, __u64 *cookie)
{
	struct file *file = pg_file_of(task, fd);
	struct socket *socket;

	if (!file || (PG_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	*cookie = PG_READ(file, f_inode, i_ino);
	socket = (struct socket *)PG_READ(file, private_data);
	return PG_READ(socket, sk);
}

/* A pointer as a number: with the pointer itself the verifier lets nobody calculate. */
PG_INLINE __u64 pg_number(const void *pointer)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

PG_INLINE __u64 pg_mix(__u64 hash)
{
	hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15ull;
	return hash ^ hash >> 29;
}

PG_INLINE __u64 pg_mix_address(const struct in6_addr *address, __u32 family, __u32 v4, __u16 port)
{
	__u64 words[2] = {};

	if (family == AF_INET6) {
		bpf_probe_read_kernel(words, sizeof(words), address);
		if (!words[0] && (__u32)words[1] == 0xffff0000) { /* ::ffff:a.b.c.d is the other end's a.b.c.d */
			v4 = words[1] >> 32;
			words[1] = 0;
		} else {
			v4 = 0;
		}
	}
	return pg_mix(pg_mix(words[0]) ^ pg_mix(words[1] + 1) ^ ((__u64)v4 << 16 | port));
}

/* A number for the connection, the same at both ends; 0: this socket is none that can be told. */
PG_INLINE __u64 pg_plain_connection(struct sock *sk, __u32 *kind, struct sock **peer)
{
	__u16 family = PG_READ(sk, __sk_common.skc_family);
	__u64 one, other;

	*peer = NULL;
	if (PG_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	if (family == AF_UNIX) {
		*kind = PG_PLAIN_UNIX;
		if (bpf_core_type_exists(struct unix_sock)) /* af_unix may be a module */
			*peer = PG_READ((struct unix_sock *)sk, peer);
		if (!*peer)
			return 0;
		return (pg_mix(pg_number(sk)) + pg_mix(pg_number(*peer))) | 1;
	}
	if ((family != AF_INET && family != AF_INET6) || PG_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	*kind = PG_PLAIN_TCP;
	one = pg_mix_address(__builtin_preserve_access_index(&sk->__sk_common.skc_v6_rcv_saddr), family,
			     PG_READ(sk, __sk_common.skc_rcv_saddr), PG_READ(sk, __sk_common.skc_num));
	other = pg_mix_address(__builtin_preserve_access_index(&sk->__sk_common.skc_v6_daddr), family,
			       PG_READ(sk, __sk_common.skc_daddr), pg_host16(PG_READ(sk, __sk_common.skc_dport)));
	return (one + other + pg_mix(PG_READ(sk, __sk_common.skc_net.net, ns.inum))) | 1;
}

PG_INLINE __u64 pg_sock_ino(struct sock *sk)
{
	struct socket *socket = PG_READ(sk, sk_socket);
	struct file *file;

	if (!socket)
		return 0;
	file = PG_READ(socket, file);
	return file ? PG_READ(file, f_inode, i_ino) : 0;
}

#endif
