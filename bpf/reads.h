/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reads.h: which files the lineage opened for reading, and which of those are sensitive.
 *
 * Opening an ordinary file for reading sends no record: it is a row in the ring `opened`, which has no other and which
 * user space takes away in bulk.
 */
#ifndef POLYGRAPH_READS_H
#define POLYGRAPH_READS_H

#include "core.h"

#define PG_OPENED_BYTES (4 * 1024 * 1024)

/* Rows of `sensitive` in use, and the first bytes of their heads, the last bytes of their tails: set before load. */
const volatile __u32 pg_rules = 0;
const volatile __u64 pg_rule_first[4] = {};
const volatile __u64 pg_rule_last[4] = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PG_OPENED_BYTES);
} opened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PG_RULES);
	__type(key, __u32);
	__type(value, struct pg_rule);
} sensitive SEC(".maps");

/* A file's name, and what sensitive rules compare of it. */
struct pg_rule_match {
	__u64 head[4], parent[4], tail;
	__u32 name_len, parent_len;
	__u32 rule; /* 1 + index */
};

static long pg_rule_step(__u32 index, struct pg_rule_match *file)
{
	struct pg_rule *rule = bpf_map_lookup_elem(&sensitive, &index);

	if (!rule || index >= pg_rules)
		return 1;
	if ((rule->name_len && rule->name_len != file->name_len) || (rule->parent_len && rule->parent_len != file->parent_len))
		return 0;
	if ((file->tail ^ rule->tail) & rule->tail_mask)
		return 0;
	for (int i = 0; i < 4; i++)
		if (((file->head[i] ^ rule->head[i]) & rule->head_mask[i]) || ((file->parent[i] ^ rule->parent[i]) & rule->parent_mask[i]))
			return 0;
	file->rule = index + 1;
	return 1;
}

PG_INLINE bool pg_in_set(const volatile __u64 *set, __u8 byte)
{
	return set[byte >> 6] >> (byte & 63) & 1;
}

/* The last component into `file`: length, first bytes, last bytes. */
PG_INLINE void pg_name_of(struct pg_rule_match *file, struct dentry *dentry)
{
	const unsigned char *name = PG_READ(dentry, d_name.name);
	__u32 length;

	file->name_len = PG_READ(dentry, d_name.len);
	length = file->name_len > PG_RULE_NAME ? PG_RULE_NAME : file->name_len;
	bpf_probe_read_kernel(file->head, length & 63, name);
	if (file->name_len >= 8)
		bpf_probe_read_kernel(&file->tail, 8, name + file->name_len - 8);
	else
		file->tail = file->head[0] << (64 - 8 * file->name_len & 63);
}

/*
 * The directory entry `dentry` as a number: a hash of the directory's device and inode and of the name; 0 for a
 * name that `file` does not hold whole. collector/kernel/entry.py computes the same.
 */
PG_INLINE __u64 pg_entry_of(struct pg_rule_match *file, struct dentry *dentry, __u32 dev)
{
	__u64 hash = 0xcbf29ce484222325ull, words[8];

	if (file->name_len > PG_RULE_NAME + 8)
		return 0;
	words[0] = PG_READ(dentry, d_parent, d_inode, i_ino);
	words[1] = (__u64)dev << 32 | file->name_len;
	for (int i = 0; i < 4; i++)
		words[2 + i] = file->head[i];
	words[6] = file->tail;
	for (int i = 0; i < 7; i++) {
		hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15ull;
		hash ^= hash >> 29;
	}
	return hash >> 1 | 1;
}

/*
 * 1 + the index of the sensitive rule that the file's name matches, or 0. Most names are told by their first and
 * last byte to match none.
 */
PG_INLINE __u32 pg_rule_of(struct pg_rule_match *file, struct dentry *dentry)
{
	struct dentry *parent;
	__u32 length;

	if (!pg_in_set(pg_rule_first, file->head[0]) && !pg_in_set(pg_rule_last, file->tail >> 56))
		return 0;
	parent = PG_READ(dentry, d_parent);
	file->parent_len = PG_READ(parent, d_name.len);
	length = file->parent_len > PG_RULE_NAME ? PG_RULE_NAME : file->parent_len;
	bpf_probe_read_kernel(file->parent, length & 63, PG_READ(parent, d_name.name));
	/* A constant bound: 6.18 drops the callback of a loop that it knows to run 0 times, and then fails to load. */
	bpf_loop(PG_RULES, pg_rule_step, file, 0);
	return file->rule;
}

/* Notes that `task` opened the file behind `inode` for reading, by the entry `dentry` whose name is `name`. */
PG_INLINE void pg_read_touch(struct task_struct *task, __u64 handle, struct inode *inode, struct dentry *dentry,
			     struct pg_rule_match *name)
{
	struct pg_opened *row = bpf_ringbuf_reserve(&opened, sizeof(*row), 0);
	struct pg_session *session;

	if (!row) {
		session = pg_session_of(handle);
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_FILE, PG_LOSS_RING);
		return;
	}
	row->session = handle;
	row->ino = PG_READ(inode, i_ino);
	row->dev = PG_READ(inode, i_sb, s_dev);
	row->entry = pg_entry_of(name, dentry, row->dev);
	row->start = PG_READ(task, group_leader, start_boottime);
	row->pid = task->tgid;
	row->ts = bpf_ktime_get_boot_ns();
	bpf_ringbuf_submit(row, bpf_ringbuf_query(&opened, BPF_RB_AVAIL_DATA) > PG_OPENED_BYTES / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif
