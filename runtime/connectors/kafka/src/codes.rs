//! The kinds of errors that only Kafka has.

wasmill_engine::codes! {
    BROKERS_AWAY = "kafka/brokers-away",
        "No broker answered: the addresses are wrong, the brokers advertise addresses that can't be reached from here, or `security` does not fit the port.",
        "Check `connection: { brokers }` from this machine, and the brokers' `advertised.listeners`.";
    BROKERS_REFUSE = "kafka/brokers-refuse",
        "The brokers answer and do not let us in.",
        "Check `connection: { security }`: name, password, mechanism and certificates.";
    CLIENT_OPTION = "kafka/client-option",
        "librdkafka does not know an option of `client`, or does not take its value.",
        "Correct it by librdkafka's CONFIGURATION.md.";
    NO_TOPICS = "kafka/no-topics",
        "Neither `topics` nor `pattern` says what to read.",
        "Add one of them: `topics: [pin]`.";
    RESERVED_OPTION = "kafka/reserved-option",
        "An option of `client` is set by Wasmill itself, because what it promises depends on it, or because it would hold a secret.",
        "Remove it. The message says which key sets it, if one does.";
    TOPIC_NAME = "kafka/topic-name",
        "A name has characters that names of topics can't have.",
        "Use 1 to 249 letters, digits, `.`, `_` and `-`; a regular expression goes into `pattern`.";
    TOPICS_AND_PATTERN = "kafka/topics-and-pattern",
        "`topics` and `pattern` both say what to read.",
        "Remove one of them.";
}
