//! The kinds of errors that only Kafka has.

wasmill_engine::codes! {
    ACCESS_DENIED = "kafka/access-denied",
        "The brokers authenticate the client and deny the request: the principal lacks an ACL on a topic, the group, \
            the transactional id or the cluster.",
        "Reading needs READ and DESCRIBE on the topic, and READ on the group. Writing needs WRITE and DESCRIBE on both topics and on the transactional id.";
    BROKERS_AWAY = "kafka/brokers-away",
        "No broker responded: the addresses are wrong, the brokers advertise addresses that can't be reached from here, \
             or `security` does not fit the port.",
        "Check `connection: { brokers }` from this machine, and the brokers' `advertised.listeners`.";
    BROKERS_REFUSE = "kafka/brokers-refuse",
        "The brokers respond and refuse the connection.",
        "Check `connection: { security }`: name, password, mechanism and certificates.";
    CLIENT_OPTION = "kafka/client-option",
        "librdkafka does not know an option of `client`, does not take its value, or can't start a client with what the options name.",
        "Correct it by librdkafka's CONFIGURATION.md. The message has the reason.";
    COLUMN = "kafka/column",
        "A column that the sink needs is not there or of another type, or `format: raw` would lose one.",
        "Name a column that the message lists, or use `format: json`.";
    COMMITS_TOPIC = "kafka/commits-topic",
        "The topic of the sink's token is the topic of the rows, or has a retention by age or size that would delete tokens.",
        "Leave `commits_topic` out, or name a topic of its own with `cleanup.policy=compact`.";
    HEADER_NAME = "kafka/header-name",
        "A key of `headers` can't be the name of a header.",
        "Use 1 to 1,000 bytes without a zero.";
    KEY_NEEDED = "kafka/key-needed",
        "The topic is compacted: Kafka keeps the latest record per key, and refuses records without one.",
        "Name the column with the key: `key: id`.";
    NO_BROKERS = "kafka/no-brokers",
        "`brokers` is empty.",
        "List some of the cluster's brokers: `brokers: \"b1:9092,b2:9092\"`.";
    NO_TOPICS = "kafka/no-topics",
        "Neither `topics` nor `pattern` sets what to read.",
        "Add one of them: `topics: [pin]`.";
    OFFSETS_LOST = "kafka/offsets-lost",
        "The offset of the checkpoint is not in the partition any more: retention removed records before they were \
            read, or the partition lost its end.",
        "`on_lost_offsets: earliest` or `latest` resumes without them. Raise the retention of the topic.";
    PARTITION = "kafka/partition",
        "`partitions` names one that the topic does not have, or is not a list of numbers from 0 on.",
        "Use numbers from 0 to one less than the number of partitions. `wasmill topics describe` shows it.";
    PATTERN = "kafka/pattern",
        "`pattern` is not a regular expression, or matches no topic in a batch.",
        "Correct it. Topics that the principal may not see are not matched.";
    REQUEST_FAILED = "kafka/request-failed",
        "The brokers did not carry out a request or did not respond to it. The message ends with their own error.",
        "Check that all brokers run, also those that lead the partitions, then start again. The run resumes behind its last checkpoint.";
    RESERVED_OPTION = "kafka/reserved-option",
        "An option of `client` is set by Wasmill itself, because what it promises depends on it, or because it would hold a secret.",
        "Remove it. The message names the key that sets it, if one does.";
    SECURITY = "kafka/security",
        "Keys under `security` contradict each other, one is missing, or a password would be sent in plain text.",
        "Use `sasl` or `auth`, not both. Each mechanism has its own keys: `username` and `password`, or `token_file` for oauthbearer.";
    START = "kafka/start",
        "`start: offsets` has an entry that is not `topic/partition` with an offset, or an offset that the partition does not have.",
        "Write `start: { offsets: { \"pin/0\": 17 } }` with offsets in the range that the message gives.";
    TOKEN_FILE = "kafka/token-file",
        "The file under `token_file` does not hold a JSON Web Token with an expiry time.",
        "Write the token and nothing else into the file. It needs the claim `exp`.";
    TOPIC_CONFIG = "kafka/topic-config",
        "The brokers do not accept a configuration of the new topic.",
        "Use the names and values of Kafka's topic configurations.";
    TOPIC_DELETED = "kafka/topic-deleted",
        "A topic or a partition was deleted while it was read.",
        "Take it out of the pipeline. If it is created again, start over with `wasmill state reset`.";
    TOPIC_EXISTS = "kafka/topic-exists",
        "A topic of that name exists already.",
        "`wasmill topics describe NAME` shows it. Choose another name, or use that one.";
    TOPIC_MISSING = "kafka/topic-missing",
        "There is no topic of that name, or the principal may not see it. Wasmill creates no topics by itself.",
        "Correct the name, or create it: `wasmill topics create NAME --brokers …`.";
    TOPIC_NAME = "kafka/topic-name",
        "A name has characters that names of topics can't have.",
        "Use 1 to 249 letters, digits, `.`, `_` and `-`; a regular expression goes into `pattern`.";
    TOPIC_REPLACED = "kafka/topic-replaced",
        "The topic was deleted and created again, so the offsets of the checkpoint are those of other records.",
        "Start over with `wasmill state reset`, if the new topic is to be read.";
    TOPICS_AND_PATTERN = "kafka/topics-and-pattern",
        "`topics` and `pattern` both set what to read.",
        "Remove one of them.";
}
