// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* polygraph.bpf.c: all families in one object, so that they share the lineage map. See bpf/README.md. */
#include "core.h"
#include "path.h"
#include "process.h"
#include "file.h"
#include "net.h"
#include "tls.h"
#include "tls_rustls.h"
#include "tls_go.h"
#include "tls_other.h"
#include "plain.h"
#include "ipc.h"
#include "uring.h"
#include "enrol.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
