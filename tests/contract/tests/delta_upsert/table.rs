//! A table of three columns, written by upserts and by others, and read by other code than theirs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use delta_kernel::Snapshot;
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::storage::store_from_url;
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink, OptimizeOptions, TableAddress, VacuumOptions, WriteMode, optimize, vacuum};
use wasmill_engine::{CommitOutcome, Result, Sink, Token, WriterContext};
use wasmill_objects::S3Config;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub id: i64,
    pub part: String,
    pub value: i64,
}

/// A table in a folder of its own.
pub struct Table {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    partition_by: Vec<String>,
    /// Appends of others, each of a pipeline of its own.
    others: AtomicU64,
}

/// One upserting sink of pipeline `p`.
pub struct Upserts {
    pub sink: DeltaSink,
    last: u64,
}

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("part", DataType::Utf8, false),
        Field::new("value", DataType::Int64, false),
    ]))
}

pub fn rows(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.part))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.value))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub fn token(epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(3), epoch, previous: epoch - 1 }
}

impl Upserts {
    pub fn next_token(&mut self) -> Token {
        self.last += 1;
        token(self.last)
    }

    /// The epoch of the last token, if there was one.
    pub fn last_epoch(&self) -> Option<u64> {
        (self.last > 0).then_some(self.last)
    }

    /// What a lane writes, two rows at a time.
    pub fn part(&self, token: &Token, lane: usize, lane_rows: &[Row]) -> Value {
        let Token { pipeline, sink, incarnation, epoch, .. } = token.clone();
        let mut writer = self.sink.writer(WriterContext { pipeline, sink, incarnation, epoch, lane, schema: schema() }).unwrap();
        lane_rows.chunks(2).for_each(|two| assert_eq!(writer.write(&rows(two)).unwrap(), []));
        writer.prepare().unwrap()
    }

    pub fn prepare(&self, token: &Token, lanes: &[&[Row]]) -> Value {
        let parts = lanes.iter().enumerate().map(|(lane, rows)| self.part(token, lane, rows)).collect();
        self.sink.prepare(token, parts).unwrap()
    }

    /// An epoch, lane by lane.
    pub fn write(&mut self, lanes: &[&[Row]]) {
        let token = self.next_token();
        let prepared = self.prepare(&token, lanes);
        assert_eq!(self.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    }
}

impl Table {
    pub fn new(partition_by: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let partition_by = partition_by.iter().map(|column| (*column).to_owned()).collect();
        Self { path: folder.path().join("table"), _folder: folder, partition_by, others: AtomicU64::new(0) }
    }

    pub fn config(&self) -> DeltaConfig {
        DeltaConfig { partition_by: self.partition_by.clone(), checkpoint_every: 4, ..DeltaConfig::new(self.path.to_str().unwrap()) }
    }

    pub fn upserts(&self, key: &[&str]) -> Upserts {
        self.upserts_with(self.config(), key)
    }

    pub fn upserts_with(&self, config: DeltaConfig, key: &[&str]) -> Upserts {
        let key = key.iter().map(|column| (*column).to_owned()).collect();
        let config = DeltaConfig { write: WriteMode::Upsert, key, ..config };
        Upserts { sink: DeltaSink::new(config, &schema()).unwrap(), last: 0 }
    }

    pub fn context(&self, token: &Token, lane: usize) -> WriterContext {
        let Token { pipeline, sink, incarnation, epoch, .. } = token.clone();
        WriterContext { pipeline, sink, incarnation, epoch, lane, schema: schema() }
    }

    /// Another writer adds rows, in one file per partition.
    pub fn append(&self, appended: &[Row]) {
        // A key that an upsert created the table with is never null there.
        let fields: Vec<Field> = schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(false)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), rows(appended).columns().to_vec()).unwrap();
        self.write_foreign(self.config(), &batch);
    }

    /// Another writer adds rows to a table without the column `id`.
    pub fn append_without_id(&self, parts: &[&str]) {
        let (parts, values) = (StringArray::from(parts.to_vec()), Int64Array::from(vec![7; parts.len()]));
        let columns: [(&str, ArrayRef); 2] = [("part", Arc::new(parts)), ("value", Arc::new(values))];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        self.write_foreign(self.config(), &batch);
    }

    /// Another writer replaces everything, the column `id` too.
    pub fn overwrite_without_id(&self) {
        let value: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        self.write_foreign(
            DeltaConfig { write: WriteMode::Overwrite, ..self.config() },
            &RecordBatch::try_from_iter([("value", value)]).unwrap(),
        );
    }

    fn write_foreign(&self, config: DeltaConfig, batch: &RecordBatch) {
        let other = self.others.fetch_add(1, Ordering::Relaxed);
        let token = Token { pipeline: format!("other-{other}"), sink: "s".into(), incarnation: Uuid::from_u128(9), epoch: 1, previous: 0 };
        let Token { pipeline, sink: name, incarnation, epoch, .. } = token.clone();
        let sink = DeltaSink::new(config, &batch.schema()).unwrap();
        let context = WriterContext { pipeline, sink: name, incarnation, epoch, lane: 0, schema: batch.schema() };
        let mut writer = sink.writer(context).unwrap();
        assert_eq!(writer.write(batch).unwrap(), []);
        let prepared = sink.prepare(&token, vec![writer.prepare().unwrap()]).unwrap();
        assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    }

    fn log_folder(&self) -> PathBuf {
        self.path.join("_delta_log")
    }

    fn newest(&self) -> u64 {
        let names = std::fs::read_dir(self.log_folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).max().unwrap()
    }

    /// The actions of the newest version.
    pub fn newest_entry(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log_folder().join(format!("{:020}.json", self.newest()))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Puts actions as the version after this one, unless another writer has.
    fn try_put(&self, version: u64, actions: &[Value]) -> bool {
        let draft = self.path.join(format!("draft-{}", Uuid::new_v4()));
        std::fs::write(&draft, actions.iter().map(|action| format!("{action}\n")).collect::<String>()).unwrap();
        let put = std::fs::hard_link(&draft, self.log_folder().join(format!("{:020}.json", version + 1)));
        std::fs::remove_file(draft).unwrap();
        put.is_ok()
    }

    /// The version and its files by their paths in the log: their actions, and the rows that are not deleted.
    fn read(&self) -> (u64, Vec<(Value, Vec<Row>)>) {
        let url = url::Url::from_directory_path(&self.path).unwrap();
        let engine = Arc::new(DefaultEngineBuilder::new(store_from_url(&url).unwrap()).build());
        let snapshot = Snapshot::builder_for(&url).build(engine.as_ref()).unwrap();
        let mut files = Vec::new();
        let version = snapshot.version();
        let partition_by = self.partition_by.clone();
        let scan = snapshot.scan_builder().build().unwrap();
        for batch in scan.scan_metadata(engine.as_ref()).unwrap() {
            files = batch.unwrap().visit_scan_files(files, |files: &mut Vec<_>, file| files.push(file)).unwrap();
        }
        let files = files.into_iter().map(|file| {
            let values: serde_json::Map<String, Value> =
                partition_by.iter().map(|column| (column.clone(), json!(file.partition_values.get(column)))).collect();
            let action = json!({"path": file.path, "partitionValues": values, "size": file.size, "dataChange": true});
            let path = url.join(&file.path).unwrap().to_file_path().unwrap();
            let selected = file.dv_info.get_selection_vector(engine.as_ref(), &url).unwrap().unwrap_or_default();
            let batches = super::super::readers::parquet_batches(&path);
            let part = file.partition_values.get("part").map(String::as_str);
            let all = batches.iter().flat_map(|batch| read_rows(batch, part)).enumerate();
            (action, all.filter(|(row, _)| selected.get(*row).copied().unwrap_or(true)).map(|(_, row)| row).collect())
        });
        (version, files.collect())
    }

    /// The files of the newest version by their paths, each with its rows in their order.
    pub fn files(&self) -> Vec<(String, Vec<Row>)> {
        let (_, files) = self.read();
        files.into_iter().map(|(action, rows)| (action["path"].as_str().unwrap().to_owned(), rows)).collect()
    }

    /// All rows, sorted.
    pub fn rows(&self) -> Vec<Row> {
        if !self.log_folder().exists() {
            return Vec::new();
        }
        let mut rows: Vec<Row> = self.files().into_iter().flat_map(|(_, rows)| rows).collect();
        rows.sort();
        rows
    }

    /// Those with an id.
    pub fn known_rows(&self) -> Vec<Row> {
        self.rows().into_iter().filter(|row| row.id != i64::MIN).collect()
    }

    /// Another writer removes a file. Returns its rows; none if there is no file.
    pub fn delete_file(&self, number: usize) -> Vec<Row> {
        if !self.log_folder().exists() {
            return Vec::new();
        }
        let (version, files) = self.read();
        if files.is_empty() {
            return Vec::new();
        }
        let (action, rows) = files[number % files.len()].clone();
        assert!(self.try_put(version, &[json!({"remove": action})]));
        rows
    }

    /// Another writer removes such rows of one file, and keeps its other rows. Returns the ids.
    pub fn delete_rows(&self, is_deleted: impl Fn(&Row) -> bool) -> Vec<i64> {
        loop {
            let (version, files) = self.read();
            let Some((action, rows)) = files.into_iter().find(|(_, rows)| rows.iter().any(&is_deleted)) else { return Vec::new() };
            let (deleted, kept): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(&is_deleted);
            let mut actions = vec![json!({"remove": action})];
            if !kept.is_empty() {
                actions.push(json!({"add": self.written(&kept, &action)}));
            }
            if self.try_put(version, &actions) {
                return deleted.into_iter().map(|row| row.id).collect();
            }
        }
    }

    /// A data file without statistics in the partition of another one, as foreign programs may write it.
    fn written(&self, kept: &[Row], like: &Value) -> Value {
        let name = format!("foreign-{}.parquet", Uuid::new_v4());
        let batch = rows(kept);
        let columns: Vec<usize> = (0..3).filter(|index| !self.partition_by.contains(schema().field(*index).name())).collect();
        let batch = batch.project(&columns).unwrap();
        let file = std::fs::File::create(self.path.join(&name)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let size = std::fs::metadata(self.path.join(&name)).unwrap().len();
        json!({"path": name, "partitionValues": like["partitionValues"], "size": size, "modificationTime": 1, "dataChange": true})
    }

    /// Another writer deletes one row of the only file, by an inline deletion vector.
    pub fn delete_by_vector(&self, row: u16) {
        let (version, files) = self.read();
        let [(action, _)] = files.as_slice() else { panic!("the table has one file") };
        let mut bytes: Vec<u8> = 1_681_511_377_u32.to_le_bytes().to_vec();
        // One bitmap for the upper half 0: a cookie, one container of one value, and where it begins.
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend([0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0]);
        bytes.extend(row.to_le_bytes());
        let size = bytes.len();
        bytes.resize(size.next_multiple_of(4), 0);
        let vector = json!({"storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": size, "cardinality": 1});
        let mut add = action.clone();
        add["modificationTime"] = 1.into();
        add["stats"] = r#"{"numRecords":3}"#.into();
        add["deletionVector"] = vector;
        let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]});
        assert!(self.try_put(version, &[json!({"protocol": protocol}), json!({"remove": action}), json!({"add": add})]));
    }

    /// Changes what the table asks of its writers.
    pub fn set_properties(&self, properties: &Value, protocol: &Value) {
        let first = std::fs::read_to_string(self.log_folder().join(format!("{:020}.json", 0))).unwrap();
        let mut metadata = first.lines().find_map(|line| serde_json::from_str::<Value>(line).unwrap().get("metaData").cloned()).unwrap();
        metadata["configuration"] = properties.clone();
        assert!(self.try_put(self.newest(), &[json!({"protocol": protocol}), json!({"metaData": metadata})]));
    }

    fn address(&self) -> TableAddress {
        TableAddress { uri: self.path.to_str().unwrap().to_owned(), connection: S3Config::default() }
    }

    /// Fails where other writers are too busy.
    pub fn try_optimize(&self) -> Result<()> {
        optimize(&self.address(), &OptimizeOptions { target_bytes: 1 << 20, dry_run: false }).map(drop)
    }

    pub fn optimize(&self) {
        if self.log_folder().exists() {
            self.try_optimize().unwrap();
        }
    }

    pub fn vacuum(&self) {
        if self.log_folder().exists() {
            let options = VacuumOptions { keep: Duration::ZERO, dry_run: false, force: true };
            vacuum(&self.address(), &options).unwrap();
            assert_eq!(self.strangers(), Vec::<String>::new());
        }
    }

    /// Data files that are in no version of those since the last vacuum.
    pub fn strangers(&self) -> Vec<String> {
        let log = std::fs::read_dir(self.log_folder()).unwrap().map(|entry| entry.unwrap().path());
        let log: String =
            log.filter(|path| path.extension().is_some_and(|e| e == "json")).map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let (mut folders, mut strangers) = (vec![self.path.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                match path.is_dir() {
                    true if name != "_delta_log" => folders.push(path),
                    false if name.ends_with(".parquet") && !log.contains(&name) => strangers.push(name),
                    _ => {}
                }
            }
        }
        strangers
    }
}

/// The rows of a batch; a row without an id has the least one.
fn read_rows(batch: &RecordBatch, part: Option<&str>) -> Vec<Row> {
    let number = |name: &str, row: usize| {
        let column = batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>());
        column.filter(|column| !column.is_null(row)).map_or(i64::MIN, |column| column.value(row))
    };
    let parts = batch.column_by_name("part").map(|column| column.as_string::<i32>());
    let part = |row: usize| parts.map_or_else(|| part.unwrap_or_default().to_owned(), |parts| parts.value(row).to_owned());
    (0..batch.num_rows()).map(|row| Row { id: number("id", row), part: part(row), value: number("value", row) }).collect()
}

/// Bytes as text, as deletion vectors in a log are written (<https://rfc.zeromq.org/spec/32/>).
fn z85(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut text = String::new();
    for four in bytes.chunks(4) {
        let number = four.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        (0..5).rev().for_each(|power| text.push(char::from(DIGITS[(number / 85_u32.pow(power) % 85) as usize])));
    }
    text
}
