//! Topics for the measurements, and the baseline: a bare loop of consume, decode, write, with no plugin, no epochs and no guarantees.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_json::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::Result;
use crate::posts::Width;

/// Rows of a batch, in every program that is compared.
const BATCH_ROWS: usize = 8192;
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic, and what is done with it.
#[derive(Debug, Clone, clap::Args)]
pub struct Topic {
    /// host:port
    #[arg(long)]
    pub brokers: String,
    /// Its name
    #[arg(long)]
    pub topic: String,
}

impl Topic {
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    fn create(&self, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let made = runtime.block_on(async { tokio::time::timeout(PATIENCE, admin.create_topics([&topic], &AdminOptions::new())).await });
        match made??.pop() {
            Some(Err((name, code))) => Err(format!("the topic {name} can't be made: {code}").into()),
            _ => Ok(()),
        }
    }

    fn producer(&self) -> Result<ThreadedProducer<DefaultProducerContext>> {
        let mut client = self.client();
        client
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.kbytes", "262144");
        Ok(client.create()?)
    }
}

/// Makes a topic and fills it with the lines of a file, so many times over, evenly over its partitions.
pub fn fill(topic: &Topic, partitions: i32, input: &Path, copies: u32) -> Result<()> {
    topic.create(partitions)?;
    let producer = topic.producer()?;
    let mut next = 0;
    for _ in 0..copies {
        for line in BufReader::with_capacity(1 << 20, File::open(input)?).lines() {
            send(&producer, &topic.topic, next % partitions, line?.as_bytes())?;
            next += 1;
        }
    }
    producer.flush(PATIENCE)?;
    Ok(())
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, partition: i32, value: &[u8]) -> Result<()> {
    loop {
        match producer.send(BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value)) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => std::thread::park_timeout(Duration::from_millis(5)),
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Produces posts at a steady rate for a while, into a topic that is there. The `index` of each is the moment in which it was produced, in microseconds since 1970.
pub fn load(topic: &Topic, partitions: i32, input: &Path, rate: u32, seconds: u32) -> Result<()> {
    let mut client = topic.client();
    // What waits for company here counts as latency of the program that is measured; without company, the broker would be busy with requests of few
    // records. This is the default of Kafka's own clients.
    client.set("compression.type", "lz4").set("linger.ms", "5");
    let producer: ThreadedProducer<DefaultProducerContext> = client.create()?;
    let tails: Vec<String> = BufReader::new(File::open(input)?).lines().take(10_000).map(|line| tail_of(&line?)).collect::<Result<_>>()?;
    let (begun, total) = (Instant::now(), u64::from(rate) * u64::from(seconds));
    let mut value = Vec::new();
    for number in 0..total {
        let due = Duration::from_micros(number * 1_000_000 / u64::from(rate));
        // The lag of one pause at most: the records due meanwhile follow at once, each with its own moment.
        if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| *early > Duration::from_micros(500)) {
            std::thread::park_timeout(early);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        value.clear();
        write!(value, "{{\"index\":{now}{}", tails[(number % tails.len() as u64) as usize])?;
        send(&producer, &topic.topic, (number % u64::from(partitions.unsigned_abs())) as i32, &value)?;
    }
    producer.flush(PATIENCE)?;
    let took = begun.elapsed().as_secs_f64();
    if took > f64::from(seconds) * 1.05 {
        return Err(format!("{total} posts took {took:.1} s and not {seconds} s: the rate is more than this machine produces").into());
    }
    Ok(())
}

/// A post behind its index.
fn tail_of(line: &str) -> Result<String> {
    let mut post: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
    post.remove("index");
    let rest = serde_json::to_string(&post)?;
    Ok(format!(",{}", rest.strip_prefix('{').unwrap_or(&rest)))
}

/// Reads a topic to its end with so many consumers, each decoding with arrow-json and writing one Parquet file; gives the number of rows.
pub fn bare(topic: &Topic, consumers: usize, out: &Path) -> Result<usize> {
    let probe: BaseConsumer = topic.client().create()?;
    let metadata = probe.fetch_metadata(Some(&topic.topic), PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let mut shares = vec![TopicPartitionList::new(); consumers];
    let mut ends = vec![Vec::new(); consumers];
    for partition in 0..partitions {
        let (low, high) = probe.fetch_watermarks(&topic.topic, partition as i32, PATIENCE)?;
        shares[partition % consumers].add_partition_offset(&topic.topic, partition as i32, Offset::Offset(low))?;
        ends[partition % consumers].push((partition as i32, high));
    }
    let threads: Vec<_> = shares
        .into_iter()
        .zip(ends)
        .enumerate()
        .map(|(number, (share, ends))| {
            let (client, path) = (consumer(topic), out.join(format!("{number}.parquet")));
            std::thread::spawn(move || consume(&client, &share, ends, path).map_err(|error| error.to_string()))
        })
        .collect();
    let mut rows = 0;
    for thread in threads {
        rows += thread.join().map_err(|_| "a consumer panicked")??;
    }
    Ok(rows)
}

/// The options that Wasmill's source sets.
fn consumer(topic: &Topic) -> ClientConfig {
    let mut client = topic.client();
    let options = [
        ("group.id", "bare"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("check.crcs", "true"),
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.max.bytes", "4194304"),
        ("max.partition.fetch.bytes", "524288"),
        ("queued.min.messages", "1000000"),
        ("queued.max.messages.kbytes", "4096"),
    ];
    for (key, value) in options {
        client.set(key, value);
    }
    client
}

fn consume(client: &ClientConfig, share: &TopicPartitionList, mut ends: Vec<(i32, i64)>, path: PathBuf) -> Result<usize> {
    let consumer: BaseConsumer = client.create()?;
    consumer.assign(share)?;
    let schema = Width::Wide.schema();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(BATCH_ROWS).build_decoder()?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema, Some(properties))?;
    let (mut pending, mut rows) = (0, 0);
    ends.retain(|(_, end)| *end > 0);
    while !ends.is_empty() {
        let message = consumer.poll(PATIENCE).ok_or("the brokers are silent")??;
        decoder.decode(message.payload().unwrap_or_default())?;
        (pending, rows) = (pending + 1, rows + 1);
        if pending == BATCH_ROWS {
            pending = 0;
            decoder.flush()?.map(|batch| writer.write(&batch)).transpose()?;
        }
        ends.retain(|(partition, end)| *partition != message.partition() || message.offset() + 1 < *end);
    }
    decoder.flush()?.map(|batch| writer.write(&batch)).transpose()?;
    writer.close()?;
    Ok(rows)
}
