/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * delegate.h: work that a program outside the lineage does for it, followed where it is certain whose work it is.
 *
 * A server is never taken in. What it forks for a client of the session is, from the exec of what the client asked
 * for: what the server does itself before (log in, set up a terminal) is told of nobody. Three ways, each with a
 * mark that both sides have:
 *
 * - ssh to this host: the connection itself. Of a client that connects to an address of this host the connection's
 *   number is kept from before the handshake ends, so before anyone can accept it. The sshd that accepts it marks
 *   what it forks while it holds that socket; of those the one that leads a session of its own when it executes is
 *   the login's shell or command.
 * - tmux: the server that the client's socket leads to (SO_PEERCRED), what it forks while the message of that very
 *   connection is the only one that it received since it last waited for any, and the words that are executed: those of
 *   the client's own command line, or a login shell.
 * - docker: the container's id, which its server gives in the answer to `create`, before anything of it runs, and which
 *   the cgroup is named after that is made for it then. Of a cgroup that was there before nothing is taken in.
 *
 * Marks are copied at fork, as the lineage is, and fall away at an exec that does not fit. For who is not of a session
 * all this costs a look at `pg_expecting` or `pg_grouping`, as long as no session has delegated anything.
 */
#ifndef POLYGRAPH_DELEGATE_H
#define POLYGRAPH_DELEGATE_H

#include "core.h"
#include "sock.h"

#define PG_PIDTYPE_SID 3 /* enum pid_type of include/linux/pid_types.h */
#define PG_WORDS_MAX 1024 /* a command line that is longer is not compared: what it asks for is not followed */
#define PG_WORD_HEAD 64

/* Programs that serve or launch and are never followed themselves: file -> enum pg_service. By user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct pg_file_key);
	__type(value, __u32);
} delegators SEC(".maps");

/* A client of the session. */
struct pg_asker {
	__u64 session;
	__u64 start;
	__u32 pid;
	__u32 uid;
	__u64 cookie; /* tmux: inode number of its socket, for the address of the other end may be used again */
};

/* TCP sockets of sessions whose handshake goes on: address of the struct sock -> whose. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct pg_asker);
} connecting SEC(".maps");

/* Connections that a server may accept (number of the connection) or has (address of its struct sock) -> whose. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct pg_asker);
} expected SEC(".maps");

/* What a tmux client was called with, by the key of `expected`. */
struct pg_words {
	__u32 length;
	__u32 _pad;
	__u8 data[PG_WORDS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct pg_words);
} asked SEC(".maps");

/* Servers at work for a session, by thread group id. */
struct pg_serving {
	__u64 key;      /* tmux: address of the socket that it heard last; 0: none since it last slept; ssh: unused */
	__u64 cookie;   /* ssh: inode number of the socket that it accepted last */
	struct pg_asker of; /* ssh */
	__u32 fd;       /* ssh */
	__u16 service;  /* enum pg_service */
	__u16 mixed;    /* tmux: it heard others since it last slept */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct pg_serving);
} serving SEC(".maps");

/* The mark of what a server forked for a client, until it executes what was asked for. */
struct pg_pending {
	struct pg_asker of;
	__u64 key;
	__u64 service;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pg_pending);
} pending SEC(".maps");

/* Names of cgroups that will be made for a session. By user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pg_group_name);
	__type(value, struct pg_group);
} expected_groups SEC(".maps");

/* Those that were made: id of the cgroup -> for whom. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct pg_group);
} groups SEC(".maps");

__u32 pg_expecting = 0; /* a session has connected to somewhere on this host, or to a server by its socket */
__u32 pg_heeding = 0;   /* a session has asked a tmux server: when it sleeps counts */
__u32 pg_grouping = 0;  /* by user space: `expected_groups` has had rows */

PG_INLINE __u32 pg_service_of(struct inode *inode)
{
	struct pg_file_key file = {};
	__u32 *service;

	file.ino = PG_READ(inode, i_ino);
	file.dev = PG_READ(inode, i_sb, s_dev);
	service = bpf_map_lookup_elem(&delegators, &file);
	return service ? *service : 0;
}

PG_INLINE __u32 pg_service_of_task(struct task_struct *task)
{
	struct mm_struct *mm = PG_READ(task, mm);
	struct file *file = mm ? PG_READ(mm, exe_file) : NULL;

	return file ? pg_service_of(PG_READ(file, f_inode)) : 0;
}

PG_INLINE void pg_asker_of(struct pg_asker *asker, struct task_struct *task, struct pg_lineage *mine)
{
	asker->session = mine->session;
	asker->start = PG_READ(task, group_leader, start_boottime);
	asker->pid = PG_READ(task, tgid);
	asker->uid = PG_READ(task, real_cred, uid.val);
}

/* --- ssh ----------------------------------------------------------------------------------------------- */

/* Whether a socket that connects leads to this host: from an address to itself, or to 127.0.0.0/8. */
PG_INLINE bool pg_connects_here(struct sock *sk)
{
	__u64 here[2] = {}, there[2] = {};

	if (PG_READ(sk, __sk_common.skc_family) == AF_INET)
		return PG_READ(sk, __sk_common.skc_daddr) == PG_READ(sk, __sk_common.skc_rcv_saddr) ||
		       (PG_READ(sk, __sk_common.skc_daddr) & 0xff) == 127;
	BPF_CORE_READ_INTO(&here, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
	BPF_CORE_READ_INTO(&there, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	return here[0] == there[0] && here[1] == there[1];
}

/* A handshake begins (in the client's own call), or is over (wherever its last packet came in). */
PG_INLINE void pg_delegate_handshake(struct sock *sk, int old, int new)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_asker asker = {}, *known;
	__u64 key = (__u64)sk, connection;
	struct pg_lineage *mine;
	struct sock *peer;
	__u32 kind;

	if (new == TCP_SYN_SENT) {
		mine = pg_lineage_of(task);
		if (!mine || !pg_connects_here(sk))
			return;
		pg_asker_of(&asker, task, mine);
		bpf_map_update_elem(&connecting, &key, &asker, BPF_ANY);
		pg_expecting = 1;
		return;
	}
	if (!pg_expecting || old != TCP_SYN_SENT)
		return;
	known = bpf_map_lookup_elem(&connecting, &key);
	if (new == TCP_ESTABLISHED) {
		connection = pg_plain_connection(sk, &kind, &peer);
		if (known)
			bpf_map_update_elem(&expected, &connection, known, BPF_ANY);
		else /* somebody else's, with the addresses of one that was ours */
			bpf_map_delete_elem(&expected, &connection);
	}
	if (known)
		bpf_map_delete_elem(&connecting, &key);
}

/* The current process, of no session, accepted a connection. Not static, for the stack's sake. */
__noinline int pg_delegate_accepted(__s64 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_serving row = {.service = PG_SERVICE_SSH, .fd = fd};
	__u32 tgid = PG_READ(task, tgid), kind;
	struct pg_asker *asker;
	struct sock *sk, *peer;
	__u64 connection;

	if (pg_service_of_task(task) != PG_SERVICE_SSH)
		return 0;
	sk = pg_sock_of(task, fd, &row.cookie);
	connection = sk ? pg_plain_connection(sk, &kind, &peer) : 0;
	asker = bpf_map_lookup_elem(&expected, &connection);
	if (!asker) {
		bpf_map_delete_elem(&serving, &tgid);
		return 0;
	}
	row.of = *asker;
	bpf_map_update_elem(&serving, &tgid, &row, BPF_ANY);
	bpf_map_delete_elem(&expected, &connection);
	return 0;
}

/* --- tmux ---------------------------------------------------------------------------------------------- */

/*
 * The current process, of a session, connected its Unix socket `fd`. `serves` is who listens there. Not static, for the
 * verifier's sake.
 */
__noinline int pg_delegate_asks(__s64 fd, __u64 serves)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	__u32 server = serves;
	struct pg_serving row = {.service = PG_SERVICE_TMUX};
	struct pg_asker asker = {};
	struct pg_scratch *space;
	struct pg_words *words;
	unsigned long from;
	struct sock *sk, *peer;
	__u64 key, length, cookie = 0;

	if (!mine || pg_service_of_task(task) != PG_SERVICE_TMUX || !bpf_core_type_exists(struct unix_sock))
		return 0;
	sk = pg_sock_of(task, fd, &cookie);
	peer = sk ? PG_READ((struct unix_sock *)sk, peer) : NULL;
	if (!peer)
		return 0;
	key = pg_number(peer);
	from = PG_READ(task, mm, arg_start);
	length = PG_READ(task, mm, arg_end) - from;
	if (!length || length > PG_WORDS_MAX)
		return 0;
	space = pg_scratch_take();
	if (!space)
		return 0; /* not followed, so it is named as handed off */
	words = (struct pg_words *)space->data;
	words->length = length;
	words->_pad = 0;
	barrier_var(length);
	if (length <= PG_WORDS_MAX && !bpf_probe_read_user(words->data, length, (void *)from)) {
		pg_asker_of(&asker, task, mine);
		asker.cookie = cookie;
		bpf_map_update_elem(&asked, &key, words, BPF_ANY);
		bpf_map_update_elem(&expected, &key, &asker, BPF_ANY);
		bpf_map_update_elem(&serving, &server, &row, BPF_NOEXIST);
		pg_expecting = 1;
		pg_heeding = 1;
	}
	pg_scratch_give(space);
	return 0;
}

/* A process of no session received a message. */
PG_INLINE void pg_delegate_heard(struct task_struct *task, int fd)
{
	__u32 tgid = PG_READ(task, tgid);
	struct pg_serving *row = bpf_map_lookup_elem(&serving, &tgid);
	__u64 cookie, key;

	if (!row || row->service != PG_SERVICE_TMUX)
		return;
	key = pg_number(pg_sock_of(task, fd, &cookie));
	if (row->key && row->key != key)
		row->mixed = 1;
	row->key = key;
}

/*
 * A process of no session goes to sleep until something comes: a server has done all that it heard. A sleep for a disk or
 * for a lock of the kernel is none, it comes in the midst of work.
 */
PG_INLINE void pg_delegate_slept(struct task_struct *task)
{
	__u32 tgid = PG_READ(task, tgid);
	struct pg_serving *row = bpf_map_lookup_elem(&serving, &tgid);

	if (row && row->service == PG_SERVICE_TMUX) {
		row->key = 0;
		row->mixed = 0;
	}
}

struct pg_comparison {
	__u32 length;
	__u32 differs;
};

/* Word `index` of the first `length` bytes of the scratch, against those from PG_WORDS_MAX on. */
static long pg_word_step(__u32 index, struct pg_comparison *of)
{
	__u32 cpu = bpf_get_smp_processor_id(), at = index * 8;
	struct pg_scratch *space = bpf_map_lookup_elem(&scratch, &cpu);
	__u64 differ;

	if (at >= of->length || at > PG_WORDS_MAX - 8)
		return 1;
	differ = 1;
	if (space)
		differ = *(__u64 *)&space->data[at] ^ *(__u64 *)&space->data[PG_WORDS_MAX + at];
	if (of->length - at < 8)
		differ &= (1ull << (8 * (of->length - at) & 63)) - 1;
	of->differs = differ != 0;
	return differ != 0;
}

/*
 * Whether what the current process executes was asked for by the client with that key: enum pg_evidence, 0 if not. Of a
 * script (the string at `script`, 0: none) the words are its interpreter, its path and the arguments: the path may have
 * been searched for, so its last component counts (as `comm` has it; one that does not fit there is not compared, nor
 * one whose interpreter has an option). Not static, for the verifier's sake.
 */
__noinline __u64 pg_words_agree(__u64 key, __u64 script)
{
	struct task_struct *task = bpf_get_current_task_btf();
	unsigned long from = PG_READ(task, mm, arg_start);
	__u64 total = PG_READ(task, mm, arg_end) - from, tail, at;
	struct pg_words *words = bpf_map_lookup_elem(&asked, &key);
	char head[PG_WORD_HEAD] = {}, option[4] = {}, name[sizeof(task->comm)] = {};
	__u32 found = PG_EVIDENCE_COMMAND;
	struct pg_comparison comparison = {};
	struct pg_scratch *space;
	long first, path, base;
	__u8 before = 1;

	if (!words || !total || total > PG_WORDS_MAX)
		return 0;
	first = bpf_probe_read_user_str(head, sizeof(head), (void *)from);
	if (first == total && head[0] == '-')
		return PG_EVIDENCE_SHELL;
	tail = total;
	if (script) {
		space = pg_scratch_take();
		if (!space)
			return 0;
		path = bpf_probe_read_kernel_str(space->data, PG_PATH_MAX, (void *)script);
		pg_scratch_give(space);
		base = bpf_probe_read_kernel_str(name, sizeof(name), task->comm);
		if (first <= 0 || path <= 0 || base <= 0 || base >= sizeof(name) || first + path > total)
			return 0;
		tail = total - first - path + base;
	} else if (first > 0 && first < PG_WORD_HEAD && first + 3 < total) {
		/* A single argument of tmux is given to a shell: sh -c TEXT; several are executed as they are. */
		bpf_probe_read_user(option, 3, (void *)(from + first));
		if (option[0] == '-' && option[1] == 'c' && !option[2])
			tail = total - first - 3;
	}
	at = words->length - tail;
	if (tail >= words->length || tail > PG_WORDS_MAX)
		return 0;
	bpf_probe_read_kernel(&before, 1, &words->data[(at - 1) & (PG_WORDS_MAX - 1)]);
	if (before && !(script && before == '/'))
		return 0; /* the client's word begins earlier */
	space = pg_scratch_take();
	if (!space)
		return 0;
	barrier_var(tail);
	if (tail > PG_WORDS_MAX ||
	    bpf_probe_read_user(&space->data[0], tail, (void *)(from + total - tail)) ||
	    bpf_probe_read_kernel(&space->data[PG_WORDS_MAX], tail, &words->data[at & (PG_WORDS_MAX - 1)]))
		found = 0;
	comparison.length = tail;
	bpf_loop(PG_WORDS_MAX / 8, pg_word_step, &comparison, 0);
	if (comparison.differs)
		found = 0;
	pg_scratch_give(space);
	return found;
}

/* --- fork and exec of who is of no session --------------------------------------------------------------- */

PG_INLINE void pg_delegate_forked(struct task_struct *parent, struct task_struct *child)
{
	struct pg_pending *mark = bpf_task_storage_get(&pending, parent, 0, 0), *theirs;
	__u32 tgid = PG_READ(parent, tgid);
	struct pg_pending fresh = {};
	struct pg_serving *row;
	struct pg_asker *asker;
	struct sock *heard, *peer;
	__u64 cookie = 0;

	if (!mark) {
		row = bpf_map_lookup_elem(&serving, &tgid);
		if (!row || PG_READ(child, tgid) == tgid)
			return;
		fresh.service = row->service;
		if (row->service == PG_SERVICE_SSH) {
			if (!pg_sock_of(parent, row->fd, &cookie) || cookie != row->cookie)
				return; /* it holds that connection no more: this is somebody else's */
			fresh.of = row->of;
		} else {
			if (row->mixed || !row->key)
				return;
			fresh.key = row->key;
			asker = bpf_map_lookup_elem(&expected, &fresh.key);
			heard = (struct sock *)row->key;
			peer = PG_READ((struct unix_sock *)heard, peer);
			if (!asker || !peer || pg_sock_ino(peer) != asker->cookie)
				return;
			fresh.of = *asker;
		}
		mark = &fresh;
	}
	theirs = bpf_task_storage_get(&pending, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (theirs)
		*theirs = *mark; /* without it the work is handed off */
}

/* Who comes into a session, and why. */
struct pg_joining {
	struct pg_asker of;
	__u32 service;  /* enum pg_service */
	__u32 evidence; /* enum pg_evidence; 0: nobody does */
};

PG_INLINE int pg_delegate_joins(struct task_struct *task, struct pg_joining *joining)
{
	struct pg_session *session = pg_session_of(joining->of.session);
	struct pg_delegated record = {};
	struct pg_lineage *mine;

	if (!session)
		return 0; /* it has ended */
	mine = bpf_task_storage_get(&lineage, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!mine) {
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_STORAGE);
		return 0;
	}
	mine->session = joining->of.session;
	__sync_fetch_and_add(&session->live, 1);
	pg_header(&record.hdr, task, session, joining->of.session, PG_DELEGATED, sizeof(record));
	record.by_start = joining->of.start;
	record.by_pid = joining->of.pid;
	record.service = joining->service;
	record.evidence = joining->evidence;
	pg_send(&effects, &record, sizeof(record), session, PG_DIM_PROCESS, BPF_RB_NO_WAKEUP);
	return 1;
}

/* What a server forked for a client executes something. */
PG_INLINE void pg_delegate_executes(struct task_struct *task, struct linux_binprm *bprm, struct pg_joining *joining)
{
	const char *filename = PG_READ(bprm, filename);
	struct pg_pending *mark = bpf_task_storage_get(&pending, task, 0, 0), was;

	if (!mark || pg_service_of(PG_READ(bprm, file, f_inode)))
		return; /* sshd executes itself for each connection */
	was = *mark;
	bpf_task_storage_delete(&pending, task);
	if (PG_READ(task, real_cred, uid.val) != was.of.uid)
		return;
	joining->of = was.of;
	joining->service = was.service;
	if (was.service == PG_SERVICE_SSH)
		/* Helpers of the login (PAM, a command for keys) lead no session: they are sshd's own. */
		joining->evidence = PG_READ(task, signal, pids[PG_PIDTYPE_SID]) == PG_READ(task, thread_pid) ? PG_EVIDENCE_CONNECTION : 0;
	else
		joining->evidence = pg_words_agree(was.key, filename == PG_READ(bprm, interp) ? 0 : pg_number(filename));
}

/* A process of no session executes `inode`: its cgroup may have been made for one. */
PG_INLINE void pg_delegate_grouped(struct task_struct *task, struct inode *inode, struct pg_joining *joining)
{
	__u64 id = PG_READ(task, cgroups, dfl_cgrp, kn, id);
	struct pg_group *group = bpf_map_lookup_elem(&groups, &id);

	if (!group || pg_service_of(inode)) /* who sets the container up is not in it yet */
		return;
	joining->of.session = group->session;
	joining->of.start = group->start;
	joining->of.pid = group->pid;
	joining->service = group->service;
	joining->evidence = PG_EVIDENCE_CGROUP;
}

/*
 * Whether the current process, which is of no session, came into one by what it executes: the struct linux_binprm at
 * `executed`. Not static: the verifier looks at it once, and knows nothing of how it came to its answer.
 */
__noinline int pg_delegated_now(__u64 executed)
{
	struct linux_binprm *bprm = (struct linux_binprm *)executed;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_joining joining = {};

	if (pg_expecting)
		pg_delegate_executes(task, bprm, &joining);
	if (!joining.evidence && pg_grouping)
		pg_delegate_grouped(task, PG_READ(bprm, file, f_inode), &joining);
	return joining.evidence && pg_delegate_joins(task, &joining);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(pg_on_cgroup, struct cgroup *made, const char *path)
{
	struct pg_group_name name = {};
	struct pg_group *group, mine;
	__u64 id;

	if (!pg_grouping)
		return 0;
	bpf_probe_read_kernel_str(name.text, sizeof(name.text), PG_READ(made, kn, name));
	group = bpf_map_lookup_elem(&expected_groups, &name);
	if (!group)
		return 0;
	id = PG_READ(made, kn, id);
	mine = *group;
	bpf_map_update_elem(&groups, &id, &mine, BPF_ANY);
	return 0;
}

#endif
