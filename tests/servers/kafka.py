"""Apache Kafka: one node that is broker and controller, with a plain listener, one with TLS and passwords, one with client certificates."""

import os
import subprocess
from pathlib import Path

import install
import people
import tls
from ports import answers

USER, PASSWORD = "alice", "alice-secret"


class Kafka:
    name = "kafka"
    ports = 4
    usual_ports = [9092, 9093, 9094, 9095]

    def __init__(self, folder: Path, ports: list[int]):
        self.folder, self.ports_taken = folder, ports
        self.plain, self.controller, self.sasl, self.mutual = ports

    def environment(self) -> dict[str, str]:
        return {
            "WASMILL_TEST_KAFKA": f"127.0.0.1:{self.plain}",
            "WASMILL_TEST_KAFKA_SASL_SSL": f"127.0.0.1:{self.sasl}",
            "WASMILL_TEST_KAFKA_SSL": f"127.0.0.1:{self.mutual}",
            "WASMILL_TEST_KAFKA_TLS": str(self.folder / "tls"),
            "WASMILL_TEST_KAFKA_USER": USER,
            "WASMILL_TEST_KAFKA_PASSWORD": PASSWORD,
        }

    def properties(self) -> str:
        jaas = "org.apache.kafka.common.security"
        certificates = self.folder / "tls"
        # A test may put a proxy before the plain listener: clients then find the broker there.
        advertised = os.environ.get("WASMILL_KAFKA_ADVERTISED", f"127.0.0.1:{self.plain}")
        lines = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.plain},CONTROLLER://127.0.0.1:{self.controller},"
                         f"SASL_SSL://127.0.0.1:{self.sasl},SSL://127.0.0.1:{self.mutual}",
            "advertised.listeners": f"PLAINTEXT://{advertised},SASL_SSL://127.0.0.1:{self.sasl},SSL://127.0.0.1:{self.mutual}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "log.dirs": self.folder / "log",
            # Records carry the time of their event; their age must not delete them.
            "log.retention.ms": -1,
            # Tests see what a missing topic does; people want to fill one.
            "auto.create.topics.enable": str(people.are_served()).lower(),
            "num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "message.max.bytes": 16 << 20,
            # A broker that was killed is back after seconds.
            "broker.session.timeout.ms": 1500,
            "broker.heartbeat.interval.ms": 300,
            "controller.quorum.election.timeout.ms": 200,
            "controller.quorum.fetch.timeout.ms": 500,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": certificates / "server.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": certificates / "ca.pem",
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{jaas}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
            # Takes tokens that nobody signed: what is tested is the client's side.
            "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config":
                f'{jaas}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def java(self, *arguments) -> list[str]:
        return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp", f"{install.kafka_libraries()}/*", *map(str, arguments)]

    def exec(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        if not properties.exists():
            tls.make(self.folder / "tls")
            properties.write_text(self.properties())
            scram = [flag for kind in ("256", "512") for flag in ("--add-scram", f"SCRAM-SHA-{kind}=[name={USER},password={PASSWORD}]")]
            subprocess.run(
                self.java("kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", properties, *scram),
                check=True, stdout=subprocess.DEVNULL,
            )
        command = self.java("kafka.Kafka", properties)
        os.execvp(command[0], command)

    def ready(self) -> bool:
        return answers(self.plain) and answers(self.sasl)
