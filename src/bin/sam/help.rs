//! The examples below the help of each command.

pub(crate) const MAIN: &str = "\
Examples:
  sam doctor                                  is the router ready?
  sam get http://stats.i2p/ > page.html
  sam listen --key my.key > received          on one machine
  sam connect ADDRESS.b32.i2p < file          on another
  sam tunnel server 127.0.0.1:80 --key site.key
  sam tunnel client 127.0.0.1:8080 ADDRESS.b32.i2p
  sam proxy --http 127.0.0.1:4444             for a browser or curl

Exit codes:
  0    done
  1    failed for another reason
  2    the arguments or the environment are wrong
  3    no bridge answers, or it refuses the user
  4    the peer cannot be reached, or does not reply in time
  5    a name or address is not found
  6    a key file is missing, damaged, open to other users, or exists already
  7    the session could not be created, or was lost
  130  ended by Ctrl-C (a tunnel, a proxy and a bridge end with 0)";

pub(crate) const DOCTOR: &str = "\
It makes two sessions, dials from one to the other, and sends some bytes there and back. It stops at the
first fault and prints a remedy.

Examples:
  sam doctor
  sam doctor --bridge router.lan:7656
  sam doctor --json | jq .ok";

pub(crate) const KEYGEN: &str = "\
The router makes the key. Only you can read the file. Anyone who has it can act as its address; there is no way to revoke it.

Examples:
  sam keygen site.key
  sam tunnel server 127.0.0.1:80 --key site.key";

pub(crate) const LOOKUP: &str = "\
A name is found if the router's address book contains it; a .b32.i2p address if its owner is online. i2pd and
emissary find an address only for a session, which takes seconds.

Examples:
  sam lookup stats.i2p
  sam lookup --full stats.i2p
  sam lookup --json stats.i2p | jq -r .destination";

pub(crate) const GET: &str = "\
It fails unless the server replies with a status of 2xx and the whole body arrives. It follows no redirect.

Examples:
  sam get http://stats.i2p/
  sam get 'http://stats.i2p/search?q=i2p' | less";

pub(crate) const LISTEN: &str = "\
It prints its address on standard error, and ends when the stream ends. I2P has no half-close: after the end
of the input the stream stays open until the peer closes it, or is silent for the time of --quit-after.

Examples:
  sam listen > received
  sam listen --key chat.key";

pub(crate) const CONNECT: &str = "\
I2P has no half-close: after the end of the input the stream stays open until the peer closes it, or is
silent for the time of --quit-after. Its last bytes get up to 15 s to arrive, those of a large input up to
two minutes more.

Examples:
  sam connect ADDRESS.b32.i2p < file
  printf 'GET / HTTP/1.0\\r\\nHost: stats.i2p\\r\\n\\r\\n' | sam connect stats.i2p:80";

pub(crate) const PING: &str = "\
Each dial opens a stream and closes it. It fails if no dial succeeds.

Examples:
  sam ping stats.i2p
  sam ping --count 100 --interval 0.2 ADDRESS.b32.i2p
  sam ping --json stats.i2p | jq .average_ms";

pub(crate) const TUNNEL: &str = "\
A tunnel makes its session again if the router restarts. It runs until Ctrl-C. Every program on this machine
can use the port of a client tunnel: listen on 127.0.0.1.

Examples:
  sam tunnel client 127.0.0.1:8080 stats.i2p:80
  sam tunnel server 127.0.0.1:22 --key ssh.key";

pub(crate) const PROXY: &str = "\
The HTTP proxy accepts CONNECT and requests for http://….i2p; the SOCKS5 proxy accepts names that end in .i2p.
Both refuse everything else and never resolve a name outside of I2P. They do not hide what a browser reveals
about itself: use a profile made for that. Every program on this machine can use them. Runs until Ctrl-C.

Examples:
  sam proxy                                      HTTP at 127.0.0.1:4444, SOCKS5 at 127.0.0.1:4447
  curl --proxy http://127.0.0.1:4444 http://stats.i2p/
  curl --proxy socks5h://127.0.0.1:4447 http://stats.i2p/";

pub(crate) const BRIDGE: &str = "\
There is no network behind it and no cryptography: use it for tests alone. It prints the environment with
which a program uses it, and runs until Ctrl-C.

Examples:
  sam bridge
  sam bridge --profile i2pd --address 127.0.0.1:7656";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  sam completions bash > ~/.local/share/bash-completion/completions/sam
  sam completions fish > ~/.config/fish/completions/sam.fish";

pub(crate) const MAN: &str = "\
Examples:
  sam man > ~/.local/share/man/man1/sam.1
  sam man doctor > ~/.local/share/man/man1/sam-doctor.1
  sam man proxy | man -l -";
