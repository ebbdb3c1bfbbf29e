"""Refuses AMX to this process and its children: a seccomp filter that fails the system call by which
Linux grants the tile registers, arch_prctl(ARCH_REQ_XCOMP_PERM).  An engine that asks is told no and
takes its AVX-512 kernels.  To be called before the engines are imported; x86-64 Linux."""
import ctypes
import errno
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ARCH_PRCTL, ARCH_REQ_XCOMP_PERM = 158, 0x1023
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: a word of struct seccomp_data
ALLOW, FAIL = 0x7FFF0000, 0x00050000


def deny():
    program = [(LOAD, 0, 0, 0),                        # the call's number
               (JUMP_EQUAL, 0, 3, ARCH_PRCTL),
               (LOAD, 0, 0, 16),                       # its first argument
               (JUMP_EQUAL, 0, 1, ARCH_REQ_XCOMP_PERM),
               (RETURN, 0, 0, FAIL | errno.EPERM),
               (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0) != 0):
        raise OSError(ctypes.get_errno(), "prctl")
    permission = libc.syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, 18)
    if permission != -1 or ctypes.get_errno() != errno.EPERM:
        raise OSError("the filter does not work")
