/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * tls_other.h: plaintext at GnuTLS and at NSS. Returns are those of tls.h: the number of bytes, or an error.
 */
#ifndef POLYGRAPH_TLS_OTHER_H
#define POLYGRAPH_TLS_OTHER_H

#include "tls.h"

/*
 * GnuTLS. gnutls_record_send(session, NULL, 0) goes on with what an interrupted call was given: those bytes cannot
 * be had any more. gnutls_record_uncork() does the same with what was gathered, and told, since gnutls_record_cork().
 */
SEC("uprobe")
int PG_UPROBE(pg_on_gnutls_send, __u64 session, __u64 buffer)
{
	struct pg_lineage *mine = pg_current();

	if (!mine || mine->tls_quiet)
		return 0;
	return pg_tls_enter(session, buffer, 0, PG_TLS_SENT);
}

SEC("uprobe")
int PG_UPROBE(pg_on_gnutls_uncork)
{
	struct pg_lineage *mine = pg_current();

	if (mine)
		mine->tls_quiet = 1;
	return 0;
}

SEC("uretprobe")
int PG_URETPROBE(pg_on_gnutls_uncorked)
{
	struct pg_lineage *mine = pg_current();

	if (mine)
		mine->tls_quiet = 0;
	return 0;
}

SEC("uprobe")
int PG_UPROBE(pg_on_gnutls_server_name, __u64 session, int type, __u64 name, __u64 length)
{
	return type == 1 /* GNUTLS_NAME_DNS */ ? pg_server_name(session, name, length) : 0;
}

/*
 * NSS speaks through NSPR's file descriptors, and so do files and plain sockets: SSL_ImportFD tells which are TLS.
 * Its layer is pushed under the address that the program knows, which stays the same.
 */
#define PR_MSG_PEEK 2 /* prio.h */
#define PG_NSS_UNTOLD 2 /* instead of a direction */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pg_tls_key);
	__type(value, __u8);
} nss_descriptors SEC(".maps");

SEC("uretprobe")
int PG_URETPROBE(pg_on_nss_imported, __u64 descriptor)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_key key;
	__u8 yes = 1;

	if (!mine || !descriptor)
		return 0;
	key = pg_tls_key_of(task, descriptor);
	if (bpf_map_update_elem(&nss_descriptors, &key, &yes, BPF_ANY))
		pg_lose(pg_session_of(mine->session), PG_DIM_TLS, PG_LOSS_MAP);
	return 0;
}

PG_INLINE int pg_nss_enter(__u64 descriptor, __u64 buffer, __u64 direction)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_key key;

	if (!mine)
		return 0;
	key = pg_tls_key_of(task, descriptor);
	if (direction != PG_NSS_UNTOLD && bpf_map_lookup_elem(&nss_descriptors, &key))
		return pg_tls_enter(descriptor, buffer, 0, direction);
	if (mine->tls_ssl) /* a file that is read while a certificate is checked: its return is not the one waited for */
		mine->tls_quiet++;
	return 0;
}

SEC("uretprobe")
int PG_URETPROBE(pg_on_nss_return, long result)
{
	struct pg_lineage *mine = pg_current();

	if (mine && mine->tls_quiet) {
		mine->tls_quiet--;
		return 0;
	}
	return pg_tls_return(result, bpf_get_attach_cookie(ctx));
}

SEC("uprobe")
int PG_UPROBE(pg_on_pr_read, __u64 descriptor, __u64 buffer)
{
	return pg_nss_enter(descriptor, buffer, PG_TLS_RECEIVED);
}

SEC("uprobe")
int PG_UPROBE(pg_on_pr_write, __u64 descriptor, __u64 buffer)
{
	return pg_nss_enter(descriptor, buffer, PG_TLS_SENT);
}

SEC("uprobe")
int PG_UPROBE(pg_on_pr_recv, __u64 descriptor, __u64 buffer, int size, int flags)
{
	return pg_nss_enter(descriptor, buffer, flags & PR_MSG_PEEK ? PG_NSS_UNTOLD : PG_TLS_RECEIVED);
}

/* Of what PR_Writev gathers only the number is told: a hole. */
SEC("uprobe")
int PG_UPROBE(pg_on_pr_writev, __u64 descriptor)
{
	return pg_nss_enter(descriptor, 0, PG_TLS_SENT);
}

SEC("uprobe")
int PG_UPROBE(pg_on_pr_close, __u64 descriptor)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_tls_key key;

	if (!mine)
		return 0;
	key = pg_tls_key_of(task, descriptor);
	if (bpf_map_delete_elem(&nss_descriptors, &key))
		return 0;
	return pg_tls_gone(descriptor, bpf_get_attach_cookie(ctx));
}

#endif
