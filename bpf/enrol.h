/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * enrol.h: how tasks that exist already come into a session, and how execs make one.
 *
 * `pg_enrol` is an iterator over all tasks; user space writes `request` and reads the iterator until a pass takes
 * in nobody: children of what was enrolled are found by their parent, and those born meanwhile by the fork hook.
 * watch --exe makes a session in the kernel, at exec, so that nothing happens before it.
 */
#ifndef POLYGRAPH_ENROL_H
#define POLYGRAPH_ENROL_H

#include "core.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pg_request);
} request SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct pg_file_key);
	__type(value, __u32); /* flags of the sessions that it makes */
} watched_files SEC(".maps");

__u64 adopted = 0; /* sessions that execs made; their handles have the highest bit */

/*
 * An exec of a watched file, the struct inode at `executed`, by the current task, which is of no session: it becomes the
 * root of a new one. Whether it did. Not static: who calls it has other things to keep on the stack.
 */
__noinline int pg_adopt(__u64 executed)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = (struct inode *)executed;
	struct pg_session_begin record = {.origin = PG_ORIGIN_EXE, .tasks = 1};
	struct pg_session fresh = {.live = 1}, *session;
	struct pg_file_key file = {};
	struct pg_lineage *mine;
	__u32 *flags;
	__u64 handle;

	file.ino = PG_READ(inode, i_ino);
	file.dev = PG_READ(inode, i_sb, s_dev);
	flags = bpf_map_lookup_elem(&watched_files, &file);
	if (!flags)
		return 0;
	fresh.flags = *flags;
	handle = 1ull << 63 | (__sync_fetch_and_add(&adopted, 1) + 1);
	if (bpf_map_update_elem(&sessions, &handle, &fresh, BPF_NOEXIST))
		return 0;
	mine = bpf_task_storage_get(&lineage, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!mine) {
		bpf_map_delete_elem(&sessions, &handle);
		return 0;
	}
	mine->session = handle;
	session = pg_session_of(handle);
	pg_header(&record.hdr, task, session, handle, PG_SESSION_BEGIN, sizeof(record));
	pg_send(&effects, &record, sizeof(record), session, PG_DIM_PROCESS, BPF_RB_FORCE_WAKEUP);
	return 1;
}

PG_INLINE __u64 pg_lineage_session(struct task_struct *task)
{
	struct pg_lineage *theirs = task ? pg_lineage_of(task) : NULL;

	return theirs ? theirs->session : 0;
}

SEC("iter/task")
int pg_enrol(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pg_lineage *theirs;
	struct pg_request *wanted;
	struct pg_session *session;
	__u32 zero = 0;
	bool ours;

	if (!task)
		return 0;
	wanted = bpf_map_lookup_elem(&request, &zero);
	if (!wanted)
		return 0;
	theirs = pg_lineage_of(task);
	if (wanted->mode == PG_ENROL_RELEASE) {
		if (theirs && theirs->session == wanted->session) {
			bpf_task_storage_delete(&lineage, task);
			wanted->enrolled++;
		}
		return 0;
	}
	if (wanted->mode == PG_ENROL_COUNT) {
		if (theirs && theirs->session == wanted->session && PG_READ(task, signal, live.counter) > 0)
			wanted->enrolled++;
		return 0;
	}
	if (theirs)
		return 0;
	if (wanted->mode == PG_ENROL_CGROUP)
		ours = PG_READ(task, cgroups, dfl_cgrp, kn, id) == wanted->target;
	else
		ours = task->tgid == wanted->target;
	if (!ours)
		ours = pg_lineage_session(task->group_leader) == wanted->session ||
		       pg_lineage_session(task->real_parent) == wanted->session;
	if (!ours)
		return 0;
	session = pg_session_of(wanted->session);
	theirs = bpf_task_storage_get(&lineage, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!theirs) {
		pg_lose(session, PG_DIM_PROCESS, PG_LOSS_STORAGE);
		return 0;
	}
	theirs->session = wanted->session;
	if (wanted->mode == PG_ENROL_PID && task->tgid == wanted->target)
		wanted->start = PG_READ(task, group_leader, start_boottime);
	if (task->pid == task->tgid && session)
		__sync_fetch_and_add(&session->live, 1);
	wanted->enrolled++;
	return 0;
}

#endif
