#!/bin/sh
# nvcc.sh NVCC FLAG... - nvcc as libtool calls a compiler: flags that are the host compiler's go
# there, through -Xcompiler.
nvcc=$1; shift
for flag; do
    shift
    case $flag in
    -fPIC|-fpic|-fPIE|-fpie|-W*|-fsanitize*|-fno-*) set -- "$@" -Xcompiler "$flag" ;;
    *) set -- "$@" "$flag" ;;
    esac
done
exec "$nvcc" "$@"
