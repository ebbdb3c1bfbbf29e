# OCT_CHECK_CUDA
# --with-cuda[=DIR]: the CUDA backend, with the toolkit in DIR (default: where nvcc is found, else
# /usr/local/cuda).  Off unless asked for; then compiler, headers and runtime library are three
# checks, and what is missing is an error that names it.  The runtime is linked statically and opens
# the driver itself, so a program built this way starts on a machine without one.
AC_DEFUN([OCT_CHECK_CUDA], [
  AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@],
    [build the CUDA backend with the CUDA Toolkit 12 or later in DIR (default: no)])],
    [], [with_cuda=no])
  oct_cuda=no
  CUDA_LIBS=
  CUDA_CPPFLAGS=
  AS_IF([test "x$with_cuda" != xno], [
    oct_cuda_dir=$with_cuda
    AS_IF([test "x$with_cuda" = xyes], [
      oct_cuda_dir=/usr/local/cuda
      AC_PATH_PROG([oct_nvcc_in_path], [nvcc])
      AS_IF([test -n "$oct_nvcc_in_path"],
            [oct_cuda_dir=`dirname "$oct_nvcc_in_path"`; oct_cuda_dir=`dirname "$oct_cuda_dir"`])
    ])
    NVCC=$oct_cuda_dir/bin/nvcc
    AC_MSG_CHECKING([for the CUDA compiler])
    AS_IF([test -x "$NVCC"], [],
          [AC_MSG_RESULT([no])
           AC_MSG_ERROR([--with-cuda: no $NVCC (CUDA Toolkit; --with-cuda=DIR says where it is)])])
    oct_cuda=`"$NVCC" --version | sed -n 's/.*release \(@<:@0-9@:>@*\)\..*/\1/p'`
    AC_MSG_RESULT([$NVCC, release $oct_cuda])
    AS_IF([test "${oct_cuda:-0}" -ge 12], [],
          [AC_MSG_ERROR([--with-cuda: $NVCC is of release ${oct_cuda:-unknown}, 12 or later is needed])])

    oct_save_CPPFLAGS=$CPPFLAGS
    oct_save_LIBS=$LIBS
    CUDA_CPPFLAGS="-isystem $oct_cuda_dir/include"
    CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
    AC_CHECK_HEADER([cuda_runtime_api.h], [],
      [AC_MSG_ERROR([--with-cuda: no cuda_runtime_api.h in $oct_cuda_dir/include])])
    # Optional, for FP16 products; the library itself is opened when a model has some.
    AC_CHECK_HEADER([cublas_v2.h],
      [AC_DEFINE([HAVE_CUBLAS], [1], [Define to 1 if cuBLAS has its headers here.])])
    oct_cuda_lib=$oct_cuda_dir/lib64
    test -d "$oct_cuda_lib" || oct_cuda_lib=$oct_cuda_dir/lib
    AC_DEFINE_UNQUOTED([OCT_CUDA_LIB], ["$oct_cuda_lib"], [Folder of the CUDA Toolkit's libraries.])
    CUDA_LIBS="-L$oct_cuda_lib -lcudart_static -lrt -ldl -lpthread"
    LIBS="$CUDA_LIBS $LIBS"
    AC_MSG_CHECKING([whether the CUDA runtime links])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cuda_runtime_api.h>]],
                                    [[int n; return cudaGetDeviceCount(&n);]])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--with-cuda: programs do not link with libcudart_static.a of $oct_cuda_lib])])
    LIBS=$oct_save_LIBS
    CPPFLAGS=$oct_save_CPPFLAGS
    AC_DEFINE([HAVE_CUDA], [1], [Define to 1 if the CUDA backend is built.])
  ])
  AC_SUBST([NVCC])
  AC_SUBST([CUDA_LIBS])
  AC_SUBST([CUDA_CPPFLAGS])
  AC_ARG_VAR([NVCCFLAGS], [flags for nvcc (default -O2 -g)])
  : ${NVCCFLAGS="-O2 -g"}
  AM_CONDITIONAL([HAVE_CUDA], [test "$oct_cuda" != no])
])
