import Foundation
import Glibc
import Loader
import Shards
import Support
import Torch

/// What a process says of itself before it works with others: who it is, and what must be the same in all of them.
package struct RankCard: Codable, Sendable, Equatable {
    package var rank: Int
    package var size: Int
    /// The machine and the process.
    package var host: String
    package var process: Int32
    /// What must be the same, by name.
    package var common: [String: String]
    /// The numeric address of rank 0's machine, as this process reaches it.
    package var master: String?
    /// Why this process cannot take part.
    package var fault: String?

    package init(_ rank: Rank, common: [String: String], fault: String? = nil) {
        self.rank = rank.rank
        size = rank.size
        host = ProcessInfo.processInfo.hostName
        process = getpid()
        self.common = common
        self.fault = fault
    }

    /// `rank 3 (node02, process 1234)`
    var name: String { "rank \(rank) (\(host), process \(process))" }

    /// What must be the same in all processes of a training: versions, the configuration, the data, and how gradients travel: processes that
    /// send others, or in another order, would take each other's for their own.
    static func common(
        of configuration: TrainingConfiguration, _ options: World.Options, on device: Device
    ) throws -> [String: String] {
        var common = ["version of omnijet": Version.number, "version of libtorch": Torch.version]
        common["--overlap"] = options.overlaps ? "on" : "off"
        common["size of buckets"] = "\(options.bucket) bytes"
        common["kind of device"] =
            device.isGPU ? (World.sumsBetweenGPUs(device) ? "GPU with NCCL" : "GPU without NCCL") : "CPU"
        let values = try JSONValue(encoding: configuration)
        common["configuration"] = try CanonicalJSON.text(values)
        for path in Set(configuration.data.datasets + configuration.validation.datasets) {
            common["fingerprint of \(path)"] = try Dataset.readCatalogue(path).fingerprint.hex
        }
        return common
    }

    /// What does not fit together among those that are there; nil if nothing is known yet.
    package static func conflict(_ cards: [RankCard]) -> String? {
        guard let first = cards.min(by: { ($0.rank, $0.process) < ($1.rank, $1.process) }) else { return nil }
        for card in cards {
            if let fault = card.fault { return "\(card.name): \(fault)" }
            if card.size != first.size {
                return "\(first.name) is one of \(first.size), \(card.name) is one of \(card.size)"
            }
        }
        for (number, card) in cards.enumerated() {
            if let twin = cards[..<number].first(where: { $0.rank == card.rank }) {
                return "two processes are rank \(card.rank): \(twin.host), process \(twin.process), and \(card.host), "
                    + "process \(card.process)"
            }
        }
        for card in cards {
            for name in Set(card.common.keys).union(first.common.keys).sorted() {
                let (own, theirs) = (card.common[name], first.common[name])
                guard own != theirs else { continue }
                let what = difference(own ?? "none", theirs ?? "none")
                return "\(card.name) has another \(name) than \(first.name): \(what.0), not \(what.1)"
            }
        }
        return nil
    }

    /// Two texts, short: of configurations what differs first.
    private static func difference(_ a: String, _ b: String) -> (String, String) {
        func object(_ text: String) -> JSONValue? { try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) }
        guard let x = object(a), let y = object(b), let found = x.difference(from: y) else { return (a, b) }
        return ("\(found.path) = \(found.own)", found.other)
    }
}
