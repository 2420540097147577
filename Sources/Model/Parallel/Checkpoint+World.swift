import Foundation
import Shards
import Support
import Torch

extension Checkpoint {
    /// What is said of a checkpoint before its tensors follow.
    private struct Header: Codable {
        struct Entry: Codable {
            var isWeight: Bool
            var name: String
            var shape: [Int]
            var type: Int32
        }

        var description: CheckpointDescription
        var entries: [Entry]
    }

    /// The checkpoint of rank 0 in all processes; nil if it has none. The others need no sight of its files.
    static func shared(_ own: Checkpoint?, in world: World) throws -> Checkpoint? {
        guard world.size > 1 else { return own }
        var text = "", tensors: [Tensor] = []
        if let own {
            let entries = [(true, own.weights), (false, own.optimizer)].flatMap { isWeight, tensors in
                tensors.sorted { $0.key < $1.key }.map { (isWeight, $0.key, $0.value) }
            }
            tensors = entries.map(\.2)
            let header = Header(
                description: own.description,
                entries: entries.map {
                    .init(isWeight: $0, name: $1, shape: $2.shape, type: ($2.type ?? .uint8).rawValue)
                })
            text = try CanonicalJSON.text(header)
        }
        text = try world.broadcast(text)
        guard !text.isEmpty else { return nil }
        let header = try JSONDecoder().decode(Header.self, from: Data(text.utf8))
        var found = Checkpoint(header.description, weights: [:])
        for (number, entry) in header.entries.enumerated() {
            let tensor =
                try own == nil
                ? Tensor.zeros(entry.shape, DType(rawValue: entry.type) ?? .float32)
                : tensors[number].detached().contiguous()
            try world.broadcast(tensor)
            if entry.isWeight { found.weights[entry.name] = tensor } else { found.optimizer[entry.name] = tensor }
        }
        return found
    }
}
