/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * process.h: lineage (inherited at fork), exec, exit.
 *
 * A task belongs to a session exactly when it carries task-local storage. The storage is copied to the child
 * before the child can run, so a process that never execs, forks twice, calls setsid or lives for a
 * millisecond is followed all the same, whoever its parent becomes.
 */
#ifndef POLYGRAPH_PROCESS_H
#define POLYGRAPH_PROCESS_H

#include "core.h"
#include "delegate.h"
#include "enrol.h"
#include "path.h"
#include "reads.h"

#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pg_on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct pg_lineage *mine = pg_lineage_of(parent), *theirs;
	struct pg_session *session;
	struct pg_fork record = {};

	if (!mine) {
		if (pg_expecting)
			pg_delegate_forked(parent, child);
		return 0;
	}
	session = pg_session_of(mine->session);
	/* Runs before the child can: copy_process() is done, wake_up_new_task() comes later. */
	theirs = bpf_task_storage_get(&lineage, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!theirs) {
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_STORAGE);
		return 0;
	}
	theirs->session = mine->session;
	if (PG_READ(child, pid) != PG_READ(child, tgid))
		return 0; /* a thread */
	if (session)
		__sync_fetch_and_add(&session->live, 1);
	pg_header(&record.hdr, parent, session, mine->session, PG_FORK, sizeof(record));
	record.child_start = PG_READ(child, start_boottime);
	record.child_pid = PG_READ(child, tgid);
	pg_send(&effects, &record, sizeof(record), session, PG_DIM_PROCESS, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Appends a kernel string of at most 4095 bytes; returns its length without the NUL. */
PG_INLINE __u32 pg_string_copy(void *to, const char *from)
{
	long length = bpf_probe_read_kernel_str(to, PG_PATH_MAX, from);

	return length > 0 ? (__u32)(length - 1) & (PG_PATH_MAX - 1) : 0;
}

PG_INLINE void pg_exec_identity(struct pg_exec *record, struct task_struct *task)
{
	struct nsproxy *ns = PG_READ(task, nsproxy);
	struct task_struct *parent = PG_READ(task, group_leader, real_parent, group_leader);

	record->parent_start = PG_READ(parent, start_boottime);
	record->parent_pid = PG_READ(parent, tgid);
	record->uid = PG_READ(task, real_cred, uid.val);
	record->gid = PG_READ(task, real_cred, gid.val);
	record->ns_mnt = PG_READ(ns, mnt_ns, ns.inum);
	record->ns_pid = PG_READ(ns, pid_ns_for_children, ns.inum);
	record->ns_net = PG_READ(ns, net_ns, ns.inum);
	record->ns_uts = PG_READ(ns, uts_ns, ns.inum);
	record->ns_ipc = PG_READ(ns, ipc_ns, ns.inum);
	record->ns_cgroup = PG_READ(ns, cgroup_ns, ns.inum);
	record->ns_user = PG_READ(task, real_cred, user_ns, ns.inum);
	record->cgroup = PG_READ(task, cgroups, dfl_cgrp, kn, id);
}

#define PG_ENV_STEPS 512
#define PG_ENV_CHUNK 80 /* TRACEPARENT= and its value fit */
#define PG_TRACE_MAX 63 /* of version 00 it has 55 bytes */

struct pg_env {
	__u64 at;
	__u64 end;
	__u64 found; /* where the value is */
	__u64 within; /* the chunk is not the beginning of a variable */
};

/* One variable of the environment, or a chunk of one; 1 behind the last, and when TRACEPARENT was found. */
static long pg_env_step(__u32 index, struct pg_env *env)
{
	char chunk[PG_ENV_CHUNK];
	long length;

	if (env->at >= env->end)
		return 1;
	length = bpf_probe_read_user_str(chunk, sizeof(chunk), (void *)env->at);
	if (length <= 0)
		return 1;
	if (!env->within && *(__u64 *)chunk == *(__u64 *)"TRACEPAR" && length > 12 && chunk[8] == 'E' && chunk[9] == 'N' &&
	    chunk[10] == 'T' && chunk[11] == '=') {
		env->found = env->at + 12;
		return 1;
	}
	env->within = length == sizeof(chunk);
	env->at += env->within ? length - 1 : length;
	return 0;
}

/*
 * Copies the value of TRACEPARENT (W3C Trace Context, in the environment as OpenTelemetry's "Environment Variables as
 * Context Propagation Carriers" has it) of the current task to `at` in the scratch, and gives its length. Of an
 * environment of more than 512 variables or chunks only the first are looked at. Not static, for the verifier's sake.
 */
__noinline __u64 pg_trace_copy(struct pg_scratch *space, __u64 at)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_env env = {.at = PG_READ(task, mm, env_start), .end = PG_READ(task, mm, env_end)};
	long length;

	if (!space || at >= sizeof(space->data) - PG_TRACE_MAX - 1)
		return 0;
	bpf_loop(PG_ENV_STEPS, pg_env_step, &env, 0);
	if (!env.found)
		return 0;
	length = bpf_probe_read_user_str(&space->data[at], PG_TRACE_MAX + 1, (void *)env.found);
	return length > 0 ? (__u64)(length - 1) & PG_TRACE_MAX : 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(pg_on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_mapped_key program = {};
	const char *filename, *interp;
	struct pg_session *session;
	struct pg_scratch *space;
	struct pg_exec *record;
	unsigned long from, total;
	__u32 at, length, flags;
	struct file *file;
	__u8 one = 1;

	if (!mine && pg_exes && pg_adopt(pg_number(PG_READ(bprm, file, f_inode))))
		mine = pg_lineage_of(task);
	if (!mine && (pg_expecting || pg_grouping) && pg_delegated_now(pg_number(bprm)))
		mine = pg_lineage_of(task);
	if (!mine)
		return 0;
	session = pg_session_of(mine->session);
	space = pg_scratch_take();
	if (!space) {
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_SCRATCH);
		return 0;
	}
	record = (struct pg_exec *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	pg_exec_identity(record, task);
	bpf_probe_read_kernel(record->comm, sizeof(record->comm), task->comm);

	file = PG_READ(bprm, file);
	record->ino = PG_READ(file, f_inode, i_ino);
	record->dev = PG_READ(file, f_inode, i_sb, s_dev);
	at = sizeof(*record);
	length = pg_path_copy(&space->data[at], PG_READ(file, f_path.mnt), PG_READ(file, f_path.dentry), &flags);
	record->path_len = length;
	record->path_truncated = flags & PG_PATH_TRUNCATED;
	at += length;

	filename = PG_READ(bprm, filename);
	interp = PG_READ(bprm, interp);
	if (filename != interp && at < PG_SCRATCH_HEAD - 3 * PG_PATH_MAX) {
		length = pg_string_copy(&space->data[at], filename);
		record->script_len = length;
		at += length;
	}
	if (at < PG_SCRATCH_HEAD - PG_PATH_MAX - 256) {
		length = pg_path_copy(&space->data[at], PG_READ(task, fs, pwd.mnt), PG_READ(task, fs, pwd.dentry), &flags);
		record->cwd_len = length;
		record->cwd_truncated = flags & PG_PATH_TRUNCATED;
		at += length;
	}
	if (at < PG_SCRATCH_HEAD - PG_PATH_MAX) {
		length = pg_string_copy(&space->data[at], PG_READ(task, cgroups, dfl_cgrp, kn, name)) & PG_NAME_MAX;
		record->cgroup_len = length;
		at += length;
	}

	/* The new image's own argument strings: what the program gets, whatever was passed or changed since. */
	from = PG_READ(task, mm, arg_start);
	total = PG_READ(task, mm, arg_end) - from;
	record->argv_total = total;
	length = total > PG_ARGV_MAX ? PG_ARGV_MAX : total;
	barrier_var(length); /* or the second comparison, the one that the verifier understands, is left out */
	if (at < PG_SCRATCH_HEAD && length <= PG_ARGV_MAX) {
		if (bpf_probe_read_user(&space->data[at], length, (void *)from))
			pg_lose(session, PG_DIM_PROCESS, PG_LOSS_READ);
		else {
			record->argv_len = length;
			at += length;
		}
	}
	length = pg_trace_copy(space, at) & PG_TRACE_MAX;
	record->trace_len = length;
	at += length;
	pg_header(&record->hdr, task, session, mine->session, PG_EXEC, at);
	/* A program that is new to us may bring a TLS library of its own: it is looked at before it speaks. */
	program.ino = record->ino;
	program.dev = record->dev;
	if (at <= sizeof(space->data))
		pg_send(&effects, record, at, session, PG_DIM_PROCESS,
			pg_add(&mapped, &program, &one) == -EEXIST ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
	pg_scratch_give(space);
	return 0;
}

enum { NR_execve = 59, NR_execveat = 322 };

SEC("tp")
int pg_on_exec_result(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine;
	struct pg_session *session;
	struct pg_scratch *space;
	struct pg_exec_failed *record;
	struct pt_regs *regs;
	__u32 size = sizeof(*record);
	long length, result = ctx->ret;
	__u32 kept = 0;
	int nr = ctx->nr;

	if (result >= 0)
		return 0;
	mine = pg_lineage_of(task);
	if (!mine)
		return 0;
	session = pg_session_of(mine->session);
	space = pg_scratch_take();
	if (!space) {
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_SCRATCH);
		return 0;
	}
	record = (struct pg_exec_failed *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	record->error = pg_errno(result);
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	length = bpf_probe_read_user_str(&space->data[sizeof(*record)], PG_PATH_MAX,
					 (void *)(nr == NR_execveat ? ARG2 : ARG1));
	if (length > 0)
		kept = (length - 1) & (PG_PATH_MAX - 1); /* 6.1 and 6.12 lose the bound of a signed length */
	record->path_len = kept;
	size += kept;
	pg_header(&record->hdr, task, session, mine->session, PG_EXEC_FAILED, size);
	if (size <= sizeof(*record) + PG_PATH_MAX)
		pg_send(&effects, record, size, session, PG_DIM_PROCESS, BPF_RB_NO_WAKEUP);
	pg_scratch_give(space);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pg_on_exit, struct task_struct *task)
{
	struct pg_lineage *mine = pg_lineage_of_process(task); /* the last thread may be one of io_uring's */
	struct pg_lineage *process, *own;
	struct pg_session *session;
	struct pg_exit record = {};
	struct pg_hdr idle = {};
	struct signal_struct *signal;

	if (!mine)
		return 0;
	own = pg_lineage_of(task);
	if (own)
		pg_read_over(task, own);
	/* do_exit() has counted this thread out already. Of threads that end at once several may find nobody left. */
	signal = PG_READ(task, signal);
	if (PG_READ(signal, live.counter) != 0)
		return 0;
	process = pg_lineage_of(task->group_leader);
	if (process && __sync_lock_test_and_set(&process->ended, 1))
		return 0;
	session = pg_session_of(mine->session);
	/* What the parent's wait() will get, cf. wait_task_zombie() in kernel/exit.c. */
	if (PG_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		record.code = PG_READ(signal, group_exit_code);
	else
		record.code = PG_READ(task, group_leader, exit_code);
	pg_header(&record.hdr, task, session, mine->session, PG_EXIT, sizeof(record));
	pg_send(&effects, &record, sizeof(record), session, PG_DIM_PROCESS, BPF_RB_NO_WAKEUP);
	if (session && __sync_fetch_and_add(&session->live, -1) == 1) {
		pg_header(&idle, task, session, mine->session, PG_SESSION_IDLE, sizeof(idle));
		pg_send(&effects, &idle, sizeof(idle), session, PG_DIM_PROCESS, BPF_RB_FORCE_WAKEUP);
	}
	return 0;
}

#endif
