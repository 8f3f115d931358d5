#!/usr/bin/env bash
# Gets what is needed, and only what is missing:  install.sh run | dev | chromium | postgres | kafka | proxy
# run: the virtual environment with the locked dependencies; dev: those of tests and checks on top.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

find_python() {
    local name
    for name in python3 python3.11 python3.12 python3.13 python3.14 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Il faut Python 3.11 ou plus récent. Sur Debian : apt install python3 python3-venv"
}

make_environment() {
    local python
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "Il manque à Python ses environnements virtuels. Sur Debian : apt install python3-venv"
    echo "Un environnement Python se prépare dans .venv ($("$python" --version))…"
    "$python" -m venv --clear .venv
}

# The lock that was installed is kept beside the packages: same lock, nothing to do.
installed() {
    cmp --silent "$1" ".venv/$1"
}

install_lock() {
    .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || make_environment
    installed "$1" && return
    echo "Les dépendances s’installent ($1) : une à deux minutes la première fois…"
    .venv/bin/python -m pip install --disable-pip-version-check --require-hashes --requirement "$1"
    # Only after a complete installation: one that was interrupted is done again.
    cp "$1" ".venv/$1"
}

debian_package() {
    local program=$1
    shift
    [ -e "$program" ] && return
    local command="apt-get install --yes --no-install-recommends $*"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "Il manque $program, dont les tests ont besoin. Sur Debian 12 : sudo $command"
    fi
    echo "Il manque $program : installation de $*…"
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive $command
    [ -e "$program" ] || fail "$program manque encore après l’installation de $*."
}

case "${1:-}" in
    run) install_lock requirements.txt ;;
    dev)
        install_lock requirements-dev.txt
        # The longer lock holds the shorter one, pin by pin.
        cp requirements.txt .venv/requirements.txt
        ;;
    chromium) debian_package /usr/bin/chromium chromium fonts-dejavu-core ;;
    postgres) debian_package /usr/lib/postgresql/15/bin/postgres postgresql-15 ;;
    kafka)
        # Both in one go: alone, Debian's Maven would bring a Java with a desktop along.
        command -v mvn >/dev/null || debian_package /usr/bin/mvn openjdk-17-jre-headless maven
        command -v java >/dev/null || debian_package /usr/bin/java openjdk-17-jre-headless
        .venv/bin/python -m deploy.kafka.jars >/dev/null
        ;;
    proxy) debian_package /usr/bin/caddy caddy ;;
    *) fail "usage: install.sh run | dev | chromium | postgres | kafka | proxy" ;;
esac
