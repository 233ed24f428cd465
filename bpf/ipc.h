/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ipc.h: how long a thread of the lineage slept in a call, what for, and which process of the session it waited for.
 *
 * Where. At the switch away from a thread that goes to sleep the time is noted; at its wake-up the two are subtracted.
 * A switch for any other reason costs a comparison, one of a thread that is not ours a look at its storage. Only a wait of
 * a millisecond or more is looked into, so what that costs is a fraction of the time in which nothing was done.
 *
 * Who was waited for. Whoever wakes a thread while it executes a system call of its own (or ends) is why it goes on: that
 * holds for pipes, Unix sockets, futexes, locks and children alike, and for poll and epoll, which do not say what they
 * waited for; there the object is the one that the waker used. An interrupt wakes in the name of whoever runs just then, so
 * what comes out of one has no waker, except over loopback: there the process at the other end is known, by the socket that
 * the waker sends through, or by who connected and who accepted. A signal is no answer, unless it says that a child ended.
 *
 * A wait is told when it ends. What a process waits for within itself (private futexes, its own threads), for the network,
 * for time or for a disk is not told.
 */
#ifndef POLYGRAPH_IPC_H
#define POLYGRAPH_IPC_H

#include "core.h"
#include "file.h"
#include "net.h"
#include "plain.h"

#define PG_WAITED_BYTES (1024 * 1024)
#define PG_ACCEPTED_WHILE 1000000000 /* ns: connect() may return after the other end's accept() */
#define PG_WAIT_LEAST 1000000 /* ns; shorter ones are not told */
#define TASK_INTERRUPTIBLE 1  /* include/linux/sched.h; a wait for a disk or a lock of the kernel is not */
#define PF_EXITING 0x4
#define PF_KTHREAD 0x00200000
#define FUTEX_PRIVATE_FLAG 128
#define PG_THREAD_SIZE 16384 /* arch/x86/include/asm/page_64_types.h, without KASAN */

enum {
	NR_poll = 7, NR_select = 23, NR_pause = 34, NR_wait4 = 61, NR_semop = 65, NR_msgsnd = 69, NR_msgrcv = 70, NR_fcntl = 72,
	NR_flock = 73, NR_rt_sigtimedwait = 128, NR_rt_sigsuspend = 130, NR_futex = 202, NR_semtimedop = 220,
	NR_epoll_wait = 232, NR_mq_timedsend = 242, NR_mq_timedreceive = 243, NR_waitid = 247, NR_pselect6 = 270, NR_ppoll = 271,
	NR_splice = 275, NR_epoll_pwait = 281, NR_recvmmsg = 299, NR_io_uring_enter = 426, NR_epoll_pwait2 = 441,
	NR_futex_wait = 455,
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PG_WAITED_BYTES);
} waited SEC(".maps");

/* The two processes of a connection over loopback: who connected, who accepted. */
struct pg_ends {
	__u64 start[2];
	__u64 accepted; /* when */
	__u32 pid[2];
};

/* (session, connection) -> its processes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct pg_plain_key);
	__type(value, struct pg_ends);
} loopback_ends SEC(".maps");

/* What the call is about that a task is in. */
struct pg_call {
	__u64 object;
	__u64 connection; /* over loopback, as pg_plain_connection() counts it; else 0 */
	__s32 nr;         /* -1: none */
	__u8 kind;        /* enum pg_wait_kind */
	__u8 apart;       /* what is waited for lies within the process, or outside the host */
};

/* --- in an interrupt? ---------------------------------------------------------------------------------- */

/*
 * Whether what runs is the current task's own doing. An interrupt that comes while the kernel works for a task has a stack
 * of its own, as what is deferred to its end has (arch/x86/include/asm/irq_stack.h); one that comes while the program
 * itself runs has the task's stack, which then begins with no system call. preempt_count would say the same, but a program
 * can have its address only where the kernel keeps the names of all variables (CONFIG_KALLSYMS_ALL).
 * `here`: the address of a variable of the program that is called, whose frame must be smaller than 64 bytes: a larger one
 * lies elsewhere since Linux 6.13 (BPF_PRIV_STACK_MIN_SIZE).
 */
PG_INLINE bool pg_own_doing(__u64 here)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(current);
	__u64 stack = (__u64)PG_READ(current, stack);

	if (here < stack || here >= stack + PG_THREAD_SIZE)
		return false;
	return current->flags & PF_EXITING || (long)regs->orig_ax >= 0;
}

/* --- what a call is about ------------------------------------------------------------------------------ */

/* Whether both ends of an internet socket are on this host, as far as its addresses tell. */
PG_INLINE bool pg_is_loopback(struct sock *sk, __u16 family)
{
	struct in6_addr local = {}, remote = {};
	__u64 *one = (__u64 *)&local, *other = (__u64 *)&remote;
	__u32 address;

	if (family == AF_INET) {
		address = PG_READ(sk, __sk_common.skc_daddr);
		return address && ((address & 0xff) == 127 || address == PG_READ(sk, __sk_common.skc_rcv_saddr));
	}
	BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&remote, sk, __sk_common.skc_v6_daddr);
	return (other[0] || other[1]) && one[0] == other[0] && one[1] == other[1];
}

PG_INLINE void pg_call_on_socket(struct pg_call *call, struct file *file)
{
	struct socket *socket = (struct socket *)PG_READ(file, private_data);
	struct sock *sk = PG_READ(socket, sk), *peer;
	__u16 family = sk ? PG_READ(sk, __sk_common.skc_family) : 0;
	__u32 kind = 0;

	if (family == AF_UNIX) {
		call->kind = PG_WAIT_UNIX;
	} else if (family == AF_INET || family == AF_INET6) {
		call->kind = PG_WAIT_LOOPBACK;
		call->apart = !pg_is_loopback(sk, family);
		if (!call->apart)
			call->connection = pg_plain_connection(sk, &kind, &peer);
	}
}

PG_INLINE bool pg_is_on_descriptor(int nr)
{
	switch (nr) {
	case NR_read: case NR_write: case NR_readv: case NR_writev: case NR_splice: case NR_connect: case NR_accept:
	case NR_accept4: case NR_sendto: case NR_sendmsg: case NR_sendmmsg: case NR_recvfrom: case NR_recvmsg: case NR_recvmmsg:
		return true;
	}
	return false;
}

/* Fills `call` with what the system call is about that `task` is in. */
PG_INLINE int pg_call_of(struct task_struct *task, struct pg_call *call)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct file *file;
	__u16 mode;

	call->nr = pg_is_compat(task) ? -1 : (int)regs->orig_ax;
	if (pg_is_on_descriptor(call->nr) || call->nr == NR_flock || call->nr == NR_fcntl) {
		file = pg_file_of(task, ARG1);
		if (!file)
			return 0;
		call->object = PG_READ(file, f_inode, i_ino);
		mode = PG_READ(file, f_inode, i_mode) & S_IFMT;
		if (!pg_is_on_descriptor(call->nr))
			call->kind = PG_WAIT_LOCK;
		else if (mode == S_IFIFO)
			call->kind = PG_WAIT_PIPE;
		else if (mode == S_IFSOCK)
			pg_call_on_socket(call, file);
		return 0;
	}
	switch (call->nr) {
	case NR_poll: case NR_select: case NR_epoll_wait: case NR_pselect6: case NR_ppoll: case NR_epoll_pwait:
	case NR_epoll_pwait2: case NR_io_uring_enter: case NR_pause: case NR_rt_sigtimedwait: case NR_rt_sigsuspend:
		call->kind = PG_WAIT_SEVERAL;
		break;
	case NR_wait4: case NR_waitid:
		call->kind = PG_WAIT_CHILD;
		break;
	case NR_futex:
		call->kind = PG_WAIT_FUTEX;
		call->object = ARG1;
		call->apart = (ARG2 & FUTEX_PRIVATE_FLAG) != 0;
		break;
	case NR_futex_wait:
		call->kind = PG_WAIT_FUTEX;
		call->object = ARG1;
		call->apart = (ARG4 & FUTEX_PRIVATE_FLAG) != 0;
		break;
	case NR_semop: case NR_semtimedop:
		call->kind = PG_WAIT_SEMAPHORE;
		call->object = (__u32)ARG1;
		break;
	case NR_msgsnd: case NR_msgrcv: case NR_mq_timedsend: case NR_mq_timedreceive:
		call->kind = PG_WAIT_QUEUE;
		call->object = (__u32)ARG1;
		break;
	}
	return 0;
}

/*
 * The same for the current task. Not static, as what follows: the verifier then looks at it once, not once for each state in
 * which its callers may be.
 */
__noinline int pg_current_call(struct pg_call *call)
{
	return call ? pg_call_of(bpf_get_current_task_btf(), call) : 0;
}

/* --- who was waited for -------------------------------------------------------------------------------- */

/* A thread that slept, and what is known of why it goes on. */
struct pg_sleeper {
	__u64 session;
	__u64 start; /* of its process */
	__u64 since;
	__u64 on_start;
	__u32 pid;
	__u32 tid;
	__u32 on_pid; /* the process that was waited for; 0: not known */
	__u8 own; /* the current task woke it in its own name, cf. pg_own_doing() */
	__u8 signalled;
	__u8 theirs; /* cf. struct pg_waited */
	__u8 _pad;
	struct pg_call call;
};

PG_INLINE bool pg_signalled(struct task_struct *task)
{
	unsigned long sent = PG_READ(task, pending.signal.sig[0]) | PG_READ(task, signal, shared_pending.signal.sig[0]);

	return (sent & ~PG_READ(task, blocked.sig[0])) != 0;
}

PG_INLINE void pg_woken_by(struct pg_sleeper *sleeper, struct task_struct *task)
{
	sleeper->on_pid = PG_READ(task, tgid);
	sleeper->on_start = PG_READ(task, group_leader, start_boottime);
}

/* The process at the other end of a connection over loopback, where both are known. */
PG_INLINE void pg_other_end(struct pg_sleeper *sleeper, __u64 connection)
{
	struct pg_plain_key key = {.session = sleeper->session, .object = connection};
	struct pg_ends *ends = bpf_map_lookup_elem(&loopback_ends, &key);

	if (!ends || !ends->pid[0] || !ends->pid[1])
		return;
	if (ends->pid[0] == sleeper->pid) {
		sleeper->on_pid = ends->pid[1];
		sleeper->on_start = ends->start[1];
	} else if (ends->pid[1] == sleeper->pid) {
		sleeper->on_pid = ends->pid[0];
		sleeper->on_start = ends->start[0];
	}
}

/* By the current task, in the name of its own call. */
__noinline int pg_woken_by_call(struct pg_sleeper *sleeper)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct pg_call other = {.nr = -1};
	bool ends, child;

	if (!sleeper)
		return 0;
	ends = PG_READ(current, flags) & PF_EXITING;
	child = ends && PG_READ(current, group_leader, real_parent, tgid) == sleeper->pid;
	if (!child && (sleeper->signalled || sleeper->call.kind == PG_WAIT_CHILD))
		return 0;
	if (!ends)
		pg_current_call(&other);
	if (sleeper->call.kind == PG_WAIT_PIPE && other.nr == sleeper->call.nr)
		return 0; /* another reader, or writer, of the pipe: it passes on what someone else did */
	pg_woken_by(sleeper, current);
	if (sleeper->call.kind != PG_WAIT_SEVERAL)
		return 0;
	sleeper->theirs = other.object != 0;
	sleeper->call.object = other.object;
	sleeper->call.kind = child ? PG_WAIT_CHILD : other.kind == PG_WAIT_SEVERAL || other.apart ? PG_WAIT_OTHER : other.kind;
	return 0;
}

/* By what the current task sent over loopback, or by whatever else a device brought just then. */
__noinline int pg_woken_by_interrupt(struct pg_sleeper *sleeper)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct pg_call other = {.nr = -1};
	bool several;

	if (!sleeper)
		return 0;
	several = sleeper->call.kind == PG_WAIT_SEVERAL;
	if (!several && (sleeper->call.kind != PG_WAIT_LOOPBACK || !sleeper->call.connection))
		return 0;
	if (pg_lineage_session(current) == sleeper->session && !(PG_READ(current, flags) & PF_EXITING))
		pg_current_call(&other);
	if (!several) {
		if (other.connection == sleeper->call.connection)
			pg_woken_by(sleeper, current);
		else
			pg_other_end(sleeper, sleeper->call.connection);
		return 0;
	}
	if (!other.connection)
		return 0;
	pg_other_end(sleeper, other.connection);
	if (sleeper->on_pid != PG_READ(current, tgid)) {
		sleeper->on_pid = 0;
		sleeper->on_start = 0;
		return 0;
	}
	sleeper->theirs = 1;
	sleeper->call.object = other.object;
	sleeper->call.kind = PG_WAIT_LOOPBACK;
	return 0;
}

/* Tells the wait, unless it is none for another process. */
__noinline int pg_waited_for(struct pg_sleeper *sleeper)
{
	struct pg_session *session;
	struct pg_waited *row;

	if (!sleeper)
		return 0;
	if (!sleeper->own)
		pg_woken_by_interrupt(sleeper);
	else if (pg_lineage_session(bpf_get_current_task_btf()) == sleeper->session)
		pg_woken_by_call(sleeper);
	if (sleeper->on_pid == sleeper->pid || sleeper->call.apart || (sleeper->call.kind == PG_WAIT_OTHER && !sleeper->on_pid))
		return 0;
	row = bpf_ringbuf_reserve(&waited, sizeof(*row), 0);
	if (!row) {
		session = pg_session_of(sleeper->session);
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_IPC, PG_LOSS_RING);
		return 0;
	}
	row->session = sleeper->session;
	row->start = sleeper->start;
	row->on_start = sleeper->on_start;
	row->object = sleeper->call.object;
	row->since = sleeper->since;
	row->ts = bpf_ktime_get_boot_ns();
	row->pid = sleeper->pid;
	row->tid = sleeper->tid;
	row->on_pid = sleeper->on_pid;
	row->kind = sleeper->call.kind;
	row->theirs = sleeper->theirs;
	row->_pad[0] = row->_pad[1] = 0;
	bpf_ringbuf_submit(row, bpf_ringbuf_query(&waited, BPF_RB_AVAIL_DATA) > PG_WAITED_BYTES / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	return 0;
}

/* --- hooks --------------------------------------------------------------------------------------------- */

SEC("tp_btf/sched_switch")
int BPF_PROG(pg_on_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int state)
{
	struct pg_lineage *mine;

	if (preempt || !(state & TASK_INTERRUPTIBLE) || prev->flags & PF_KTHREAD)
		return 0;
	mine = pg_lineage_of(prev);
	if (mine)
		mine->asleep = pg_signalled(prev) ? 0 : bpf_ktime_get_boot_ns(); /* with a signal it goes on at once */
	else if (pg_heeding)
		pg_delegate_slept(prev);
	return 0;
}

static __noinline int pg_woken(struct task_struct *task, __u64 handle, __u64 since, bool own)
{
	struct pg_sleeper sleeper = {.session = handle, .since = since, .own = own};

	sleeper.start = PG_READ(task, group_leader, start_boottime);
	sleeper.pid = PG_READ(task, tgid);
	sleeper.tid = PG_READ(task, pid);
	sleeper.signalled = pg_signalled(task);
	pg_call_of(task, &sleeper.call);
	return pg_waited_for(&sleeper);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(pg_on_waking, struct task_struct *task)
{
	struct pg_lineage *mine;
	__u64 since;

	if (task->flags & PF_KTHREAD)
		return 0;
	mine = pg_lineage_of(task);
	if (!mine || !mine->asleep)
		return 0;
	since = mine->asleep;
	mine->asleep = 0;
	if (bpf_ktime_get_boot_ns() < since + PG_WAIT_LEAST || task->on_cpu)
		return 0;
	return pg_woken(task, mine->session, since, pg_own_doing(pg_number(&since)));
}

/* Who connected, and who accepted: asked when what wakes is an interrupt. */
SEC("tp")
int pg_on_ipc_connect(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_ends fresh = {}, *ends;
	struct pg_plain_key key = {};
	struct pt_regs *regs;
	struct sock *sk, *peer;
	long result = ctx->ret;
	__u32 kind = 0, side = ctx->nr != NR_connect;
	__u64 cookie = 0;
	__u16 family;

	if (!mine || (side ? result < 0 : !pg_connecting(result)))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	sk = pg_sock_of(task, side ? result : (long)ARG1, &cookie);
	if (!sk)
		return 0;
	family = PG_READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) || !pg_is_loopback(sk, family))
		return 0;
	key.session = mine->session;
	key.object = pg_plain_connection(sk, &kind, &peer);
	if (!key.object)
		return 0;
	pg_add(&loopback_ends, &key, &fresh);
	ends = bpf_map_lookup_elem(&loopback_ends, &key);
	if (!ends)
		return 0;
	side &= 1;
	if (side)
		ends->accepted = bpf_ktime_get_boot_ns();
	else if (ends->accepted + PG_ACCEPTED_WHILE < bpf_ktime_get_boot_ns())
		ends->pid[1] = 0; /* it was another connection's with the same addresses */
	ends->start[side] = PG_READ(task, group_leader, start_boottime);
	ends->pid[side] = task->tgid;
	return 0;
}

#endif
