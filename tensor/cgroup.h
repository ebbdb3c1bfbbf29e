#ifndef OCT_TENSOR_CGROUP_H
#define OCT_TENSOR_CGROUP_H

/* CPUs that the control groups of this process allow, version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us / cpu.cfs_period_us): the least of every level from the process's own group
 * up to the mount, quota / period rounded up, at least 1.  0: no limit, or none can be read.
 *
 * root is put before /proc/self/cgroup, /proc/self/mountinfo and every mount point found there:
 * "" for the system's, a folder with a made-up tree in tests. */
int oct_cgroup_cpus(const char *root);

#endif
