#!/bin/sh
# What a machine with a GPU needs that has none of the libraries: the programs and the tests of the
# device, stripped, with a wrapper each that finds the libraries beside them.
#     sh bench/cuda_kit.sh DIR [all]     in the build folder of a `configure --with-cuda`, made
#     cd DIR && sh SOURCES/bench/cuda.sh             there, with the sources
# Makes DIR, and DIR.tar.xz of it, 2 MB; a fifth less where the build was made for one architecture:
#     make cuda_targets='-gencode arch=compute_90,code=sm_90' NVCCFLAGS=--compress-mode=none
# What systems of 2022 or later have stays behind: glibc, 2.34 or later, and libcrypto, which libzip
# asks for.  With `all` they come along, the loader too, and are used where the system's do not do.
set -eu
[ -x octet ] && [ -e Makefile ] && [ $# -ge 1 ] || { sed -n '2,10s/^# //p' "$0" >&2; exit 1; }
dir=$1 all=${2:-}
programs='octet cnn_infer resnet_infer distilbert_infer'
tests='device_cuda device_cuda_layers device_cuda_islands device_cuda_products device_cuda_rows'
[ ! -e "$dir" ] || { echo "cuda_kit.sh: $dir is there already" >&2; exit 1; }
make -s $(printf 'tests/%s ' $tests) >/dev/null

mkdir -p "$dir/bin" "$dir/lib" "$dir/tests"
cat >"$dir/octet" <<'END'
#!/bin/sh
# The program of this name in bin/, with the libraries in lib/; in libc/ there may be a C library.
name=${0##*/} here=${0%/*}
[ -d "$here/lib" ] || here=$here/..
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
libc=$here/libc
[ ! -d "$libc" ] || "$here/bin/octet" --version >/dev/null 2>&1 ||
    exec "$libc/ld-linux-x86-64.so.2" --library-path "$libc:$LD_LIBRARY_PATH" \
        "$here/bin/$name" "$@"
exec "$here/bin/$name" "$@"
END
chmod +x "$dir/octet"
for p in $programs $(printf 'tests/%s ' $tests); do
    strip -o "$dir/bin/${p##*/}" "$p"
    [ "$p" = octet ] || cp "$dir/octet" "$dir/$p"
done
cp config.h "$dir" # says where the toolkit was

libraries() { ldd "$dir"/bin/* | awk '$2 == "=>" { print $3 }' | sort -u; }
of_system='/\(libc\|libm\|libdl\|libpthread\|librt\|libcrypto\)\.so'
for lib in $(libraries | grep -v "$of_system"); do strip -o "$dir/lib/${lib##*/}" "$lib"; done
if [ "$all" = all ]; then
    mkdir "$dir/libc"
    libc=$(libraries | sed -n 's|/libc\.so\.6$||p')
    for lib in $(libraries | grep "$of_system"); do cp -L "$lib" "$dir/libc"; done
    for lib in libdl.so.2 libpthread.so.0 librt.so.1 ld-linux-x86-64.so.2; do
        cp -L "$libc/$lib" "$dir/libc" # the first three are the driver's
    done
fi
tar -C "$dir" -c . | xz -9e >"$dir.tar.xz"
du -sk "$dir" | awk '{ printf "%d kB unpacked, ", $1 }'
wc -c <"$dir.tar.xz" | awk '{ printf "%d kB packed\n", $1 / 1000 }'
