/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * path.h: the absolute path of a file, as the kernel holds it: from the dentry up, across mounts, to the root
 * of the mount namespace. bpf_d_path() does the same but may be called from a few hooks only, none of which
 * exist on every kernel we support.
 */
#ifndef POLYGRAPH_PATH_H
#define POLYGRAPH_PATH_H

#include "core.h"

#define PG_NAME_MAX 255
#define PG_PATH_DEPTH 2048 /* components; a path of PG_PATH_MAX bytes cannot have more */

enum pg_path_flag { PG_PATH_TRUNCATED = 1, PG_PATH_DELETED = 2, PG_PATH_PSEUDO = 4 };

/* Where a path is built, from its end backwards. */
struct pg_path_buffer {
	char bytes[PG_PATH_MAX + 256];
};

struct pg_path {
	struct dentry *dentry;
	struct mount *mount;
	struct pg_path_buffer *buffer;
	__u32 at; /* first byte of the path in the buffer; it ends at PG_PATH_MAX */
	__u32 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* number of possible CPUs: set before load */
	__type(key, __u32);
	__type(value, struct pg_path_buffer);
} path_buffers SEC(".maps");

PG_INLINE struct mount *pg_mount_of(struct vfsmount *mnt)
{
	return (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
}

static long pg_path_step(__u32 index, struct pg_path *path)
{
	struct dentry *dentry = path->dentry;
	struct dentry *parent = PG_READ(dentry, d_parent);
	struct mount *mount = path->mount, *above;
	const unsigned char *name;
	__u32 length, at = path->at;

	if (dentry == parent || dentry == PG_READ(mount, mnt.mnt_root)) {
		above = PG_READ(mount, mnt_parent);
		if (above == mount || !above)
			return 1; /* the root of everything */
		path->dentry = PG_READ(mount, mnt_mountpoint);
		path->mount = above;
		return 0;
	}
	length = PG_READ(dentry, d_name.len) & PG_NAME_MAX;
	name = PG_READ(dentry, d_name.name);
	if (at < length + 1 || at > PG_PATH_MAX) {
		path->flags |= PG_PATH_TRUNCATED;
		return 1;
	}
	at -= length + 1;
	barrier_var(at); /* keeps the compiler from working with two forms of it, of which the verifier knows one */
	if (at >= PG_PATH_MAX)
		return 1;
	path->buffer->bytes[at] = '/';
	if (bpf_probe_read_kernel(&path->buffer->bytes[at + 1], length, name)) {
		path->flags |= PG_PATH_TRUNCATED;
		return 1;
	}
	path->at = at;
	path->dentry = parent;
	return 0;
}

/*
 * Copies the path of (mnt, dentry) to `to` and returns its length, 0 if it has none. A path that is too long or
 * too deep loses its beginning and has PG_PATH_TRUNCATED. `to` must have room for PG_PATH_MAX bytes. The caller
 * holds the CPU's scratch, which guards the buffer as well.
 */
PG_INLINE __u32 pg_path_copy(void *to, struct vfsmount *mnt, struct dentry *dentry, __u32 *flags)
{
	__u32 cpu = bpf_get_smp_processor_id(), length;
	struct pg_path path = {.dentry = dentry, .at = PG_PATH_MAX};

	*flags = 0;
	path.buffer = bpf_map_lookup_elem(&path_buffers, &cpu);
	if (!path.buffer || !mnt || !dentry)
		return 0;
	path.mount = pg_mount_of(mnt);
	if (dentry != PG_READ(dentry, d_parent)) {
		if (!PG_READ(dentry, d_hash.pprev))
			*flags |= PG_PATH_DELETED;
	} else if (dentry != PG_READ(mnt, mnt_root)) {
		/* Its own parent and no root: a file without a place (memfd, pipe, socket) has only a name. */
		*flags |= PG_PATH_PSEUDO;
		length = PG_READ(dentry, d_name.len) & PG_NAME_MAX;
		bpf_probe_read_kernel(to, length, PG_READ(dentry, d_name.name));
		return length;
	}
	if (bpf_loop(PG_PATH_DEPTH, pg_path_step, &path, 0) >= PG_PATH_DEPTH)
		path.flags |= PG_PATH_TRUNCATED;
	*flags |= path.flags;
	if (path.at >= PG_PATH_MAX) { /* the root itself */
		*(char *)to = '/';
		return 1;
	}
	length = PG_PATH_MAX - path.at;
	length &= PG_PATH_MAX - 1;
	bpf_probe_read_kernel(to, length, &path.buffer->bytes[path.at & (PG_PATH_MAX - 1)]);
	return length;
}

#endif
