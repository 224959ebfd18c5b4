//! The kinds of errors of gateways.

wasmill_engine::codes! {
    ADDRESS = "gateway/address",
        "`listen` is not an address to listen at.",
        "Write `127.0.0.1:8082`, `\"[::1]:8082\"` or a port alone, which listens on this machine only.";
    ADDRESS_IN_USE = "gateway/address-in-use",
        "The address can't be listened at: another process has it, or it is not one of this machine.",
        "Stop the other process, or choose another port: `listen: 127.0.0.1:8083`.";
    CERTIFICATE = "gateway/certificate",
        "The certificate or the key of the server can't be read, or they do not belong together.",
        "Name two PEM files: the chain of certificates, the server's own first, and its private key.";
    CREDENTIAL = "gateway/credential",
        "An entry of `auth` is neither a token nor a user with a password.",
        "Write `auth: [{ token: \"${secret:TOKEN}\" }]` or `auth: [{ user: pins, password: \"${secret:PASSWORD}\" }]`.";
    PREFIX = "gateway/prefix",
        "A prefix of paths or a name in a path has characters that paths do not have.",
        "Use letters, digits, `.`, `_`, `-` and `~`; a prefix begins with a slash: `prefix: /test`.";
    ROUTE = "gateway/route",
        "A route has no protocol, more than one, or a destination that does not fit to it.",
        "Give it one of `kafka_rest`, `kinesis_api` and `ingest`, and `to` with one destination.";
    ROUTES_OVERLAP = "gateway/routes-overlap",
        "Two routes answer the same paths, so that the second would never be used.",
        "Give one of them a `prefix`, or remove it.";
}
