#!/usr/bin/env bash
# Builds what is handed out, in target/dist: an archive and a Debian package of the stripped binary with its manual, completions and
# licences, its symbols, a bill of materials (CycloneDX), and SHA256SUMS. Version and commit stand in the names.
#
#   scripts/dist.sh               as for production
#   BINARY=target/debug/tollgate scripts/dist.sh   packs one that is built already, to try the packaging
#
# Times are those of the commit and paths of this machine are replaced, so that one commit, one compiler and one directory give the same.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh dist

target=${CARGO_TARGET_DIR:-$PWD/target}
host=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
commit=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

# Rising with each commit, so that a later one is an upgrade; a tilde sorts it before the release of this version.
deb_version="$version~$(date --date="@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$commit"
if git describe --exact-match --match "v$version" HEAD >/dev/null 2>&1; then
    deb_version="$version"
fi
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo 'dist: the working tree has changes: this is no build of the commit, and says so' >&2
    commit=$commit-changed
    deb_version="$deb_version.changed"
fi
deb_version="$deb_version-1"
# Of the package, not of the program: as Debian's own tools take it, else the author of the commit.
maintainer="${DEBFULLNAME:-$(git log -1 --format=%an)} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
name=tollgate-$version-$commit-$host

# Paths that the linker and the compilers write.
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
places="$PWD=/tollgate $registry=/registry $target=/target"
RUSTFLAGS=${RUSTFLAGS:-} CFLAGS=${CFLAGS:-} CXXFLAGS=${CXXFLAGS:-}
for place in $places; do
    RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$place"
    CFLAGS="$CFLAGS -ffile-prefix-map=$place" CXXFLAGS="$CXXFLAGS -ffile-prefix-map=$place"
done
if [ -z "${BINARY:-}" ]; then
    echo "dist: builds $name"
    RUSTFLAGS=$RUSTFLAGS CFLAGS=$CFLAGS CXXFLAGS=$CXXFLAGS cargo build --locked --release --package tollgate --bin tollgate
    BINARY=$target/release/tollgate
fi

# Files that cargo-deb takes from target/package; see [package.metadata.deb] in Cargo.toml.
parts=target/package
rm -rf "$parts" target/dist
mkdir -p "$parts" target/dist
binary=$parts/tollgate
# The names of functions stand beside it, for whoever reads a backtrace or a profile.
strip --strip-all -o "$binary" "$BINARY"
objcopy --only-keep-debug --compress-debug-sections=zlib "$BINARY" "target/dist/$name.debug"

# Nothing but the C library and what comes with every compiler of C.
if ldd "$binary" | grep -vE '(linux-vdso|ld-linux-[a-z0-9-]*|libc|libm|libgcc_s)\.so'; then
    echo 'dist: the binary needs libraries that not every machine has' >&2
    exit 1
fi
glibc=$(objdump --dynamic-syms "$binary" | grep -o 'GLIBC_[0-9.]*' | sort --version-sort --unique | tail -1)

"$binary" man "$parts/man" >/dev/null
gzip --no-name --best "$parts"/man/*.1
for shell in bash zsh fish; do
    "$binary" completions $shell >"$parts/tollgate.$shell"
done
scripts/notices.py "$host" >"$parts/LICENSES.txt"
# In a copy of what is committed, as it writes beside every manifest.
rm -rf target/sbom
mkdir target/sbom
git archive HEAD | tar --extract --directory target/sbom
(
    cd target/sbom
    "$target/tools/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --target "$host" \
        --override-filename sbom
)
sed "s|$PWD/target/sbom|/tollgate|g" target/sbom/sbom.json >"$parts/sbom.cdx.json"
rm -rf target/sbom
gzip --no-name --best <CHANGELOG.md >"$parts/changelog.gz"
cat >"$parts/changelog.Debian" <<EOF
tollgate ($deb_version) unstable; urgency=medium

  * See /usr/share/doc/tollgate/changelog.gz.

 -- $maintainer  $(date --rfc-email --date="@$SOURCE_DATE_EPOCH")
EOF

"$target/tools/bin/cargo-deb" deb --quiet --no-build --no-strip --deb-version "$deb_version" \
    --maintainer "$maintainer" --output "target/dist/tollgate_${deb_version}_$(dpkg --print-architecture).deb"

place=$parts/$name
mkdir -p "$place"/bin "$place"/share/man/man1 "$place"/share/bash-completion/completions \
    "$place"/share/zsh/site-functions "$place"/share/fish/vendor_completions.d
cp "$binary" "$place/bin/"
cp "$parts"/man/*.1.gz "$place/share/man/man1/"
cp "$parts/tollgate.bash" "$place/share/bash-completion/completions/tollgate"
cp "$parts/tollgate.zsh" "$place/share/zsh/site-functions/_tollgate"
cp "$parts/tollgate.fish" "$place/share/fish/vendor_completions.d/tollgate.fish"
cp "$parts/sbom.cdx.json" "$parts/LICENSES.txt" "$place/"
git archive HEAD LICENSE README.md CHANGELOG.md SECURITY.md docs config | tar --extract --directory "$place"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --create --directory "$parts" "$name" |
    gzip --no-name --best >"target/dist/$name.tar.gz"
cp "$parts/sbom.cdx.json" "target/dist/$name.cdx.json"
rm -rf "$place"

(cd target/dist && sha256sum -- * >SHA256SUMS)
echo "dist: needs $glibc or newer; in target/dist:"
(cd target/dist && sha256sum --check --quiet SHA256SUMS && du --apparent-size --human-readable -- *)
