import CPando
import Foundation
import Loader
import Shards
import Support

/// What is told of a loader.
private struct LoaderDescription: Encodable {
    struct Column: Encodable {
        var name: String
        var type: ElementType
        var role: ColumnRole
    }

    var jets: Int
    var stepsPerEpoch: Int
    var window: Int
    var memoryBound: Int
    var features: [String]
    var jetFeatures: [String]
    var padLength: Int?
    var tokenLength: Int?
    var hasLabels: Bool
    var isJagged: Bool
    var columns: [Column]
    var state: LoaderState

    init(_ loader: Loader) {
        let contents = loader.contents
        (jets, stepsPerEpoch, window) = (loader.jetCount, loader.stepsPerEpoch, loader.window)
        memoryBound = loader.memoryBound
        features = contents.features?.features.map(\.name) ?? []
        jetFeatures = contents.features?.jetFeatures.map(\.name) ?? []
        padLength = contents.features?.padLength
        tokenLength = contents.tokens?.length
        hasLabels = !contents.labels.isEmpty || contents.labelColumn != nil
        isJagged = contents.isJagged && contents.features != nil
        let fields = loader.dataset.wholeEncoding.fields
        let takesAll = contents.columns == nil && contents.features == nil && !hasLabels && contents.tokens == nil
        let names = contents.columns ?? (takesAll ? loader.dataset.catalogue.encoding.fields.map(\.name) : [])
        columns = names.compactMap { name in
            fields.first { $0.name == name }.map { Column(name: name, type: $0.type, role: $0.role) }
        }
        state = loader.state(epoch: 0)
    }
}

private func state(_ json: UnsafePointer<CChar>) throws -> LoaderState {
    do {
        return try JSONDecoder().decode(LoaderState.self, from: Data(String(cString: json).utf8))
    } catch {
        throw LoaderError(
            .state, place: "state", message: "is not made of fingerprint, options, epoch and step",
            advice: "use what a loader gave")
    }
}

@c(pando_loader_open) @implementation
public func pando_loader_open(_ request: UnsafePointer<CChar>) -> OpaquePointer? {
    Failure.orNull {
        let request = try LoaderRequest(json: String(cString: request))
        return Handle.open(
            try Loader(mixture: request.sources, contents: request.contents, options: request.options))
    }
}

@c(pando_loader_close) @implementation
public func pando_loader_close(_ loader: OpaquePointer) { Handle.close(loader, Loader.self) }

@c(pando_loader_describe) @implementation
public func pando_loader_describe(_ loader: OpaquePointer) -> UnsafeMutablePointer<CChar>? {
    Failure.textOrNull { try CanonicalJSON.text(LoaderDescription(Handle.get(loader, Loader.self))) }
}

@c(pando_loader_check) @implementation
public func pando_loader_check(_ loader: OpaquePointer, _ json: UnsafePointer<CChar>) -> Int32 {
    Failure.orNegative {
        try Handle.get(loader, Loader.self).check(try state(json))
        return 0
    }
}

@c(pando_loader_origins) @implementation
public func pando_loader_origins(
    _ loader: OpaquePointer, _ step: Int64, _ rank: Int64, _ epoch: Int64
) -> UnsafeMutablePointer<CChar>? {
    Failure.textOrNull {
        try CanonicalJSON.text(
            try Handle.get(loader, Loader.self).jets(inStep: Int(step), rank: Int(rank), epoch: Int(epoch)))
    }
}

@c(pando_epoch_begin) @implementation
public func pando_epoch_begin(
    _ loader: OpaquePointer, _ json: UnsafePointer<CChar>, _ share: Int64, _ shares: Int64
) -> OpaquePointer? {
    Failure.orNull {
        let loader = Handle.get(loader, Loader.self)
        return Handle.open(try loader.batches(from: try state(json), share: Int(share), of: Int(shares)))
    }
}

@c(pando_epoch_next) @implementation
public func pando_epoch_next(
    _ epoch: OpaquePointer, _ seconds: Double, _ batch: UnsafeMutablePointer<pando_batch>
) -> Int32 {
    Failure.orNegative {
        switch try Handle.get(epoch, BatchIterator.self).next(within: seconds) {
        case .end: return 0
        case .notYet: return 2
        case .batch(let made):
            batch.pointee = pando_batch(made)
            return 1
        }
    }
}

@c(pando_epoch_counters) @implementation
public func pando_epoch_counters(_ epoch: OpaquePointer) -> UnsafeMutablePointer<CChar>? {
    Failure.textOrNull { try CanonicalJSON.text(Handle.get(epoch, BatchIterator.self).counters) }
}

@c(pando_epoch_end) @implementation
public func pando_epoch_end(_ epoch: OpaquePointer) { Handle.close(epoch, BatchIterator.self) }

@c(pando_batch_column) @implementation
public func pando_batch_column(
    _ owner: UnsafeMutableRawPointer, _ name: UnsafePointer<CChar>, _ column: UnsafeMutablePointer<pando_array>
) -> Int32 {
    let batch = Unmanaged<Batch>.fromOpaque(owner).takeUnretainedValue(), name = String(cString: name)
    guard let bytes = batch.bytes(of: name), let type = batch.elementType(of: name) else { return -1 }
    column.pointee = pando_array(bytes, type, batch.hasConstituents(name) ? .constituent : .jet)
    return 0
}

@c(pando_batch_release) @implementation
public func pando_batch_release(_ owner: UnsafeMutableRawPointer) { Unmanaged<Batch>.fromOpaque(owner).release() }

@c(pando_resolve_rank) @implementation
public func pando_resolve_rank(_ known: UnsafePointer<CChar>?) -> UnsafeMutablePointer<CChar>? {
    struct Known: Decodable {
        var rank: Int
        var size: Int
        var origin: String
    }
    struct Found: Encodable {
        var rank: Int
        var size: Int
        var origin: String
        var description: String
        var warning: String?
    }
    return Failure.textOrNull {
        let explicit = try known.map {
            let told = try LoaderRequest.decode(Known.self, String(cString: $0), code: .rank)
            return try Rank(told.rank, of: told.size, origin: told.origin)
        }
        let (rank, warning) = try resolveRank(explicit: explicit)
        return try CanonicalJSON.text(
            Found(
                rank: rank.rank, size: rank.size, origin: rank.origin, description: "\(rank)", warning: warning))
    }
}

extension pando_batch {
    /// A batch in the hands of C, which gives it back by its `owner`.
    fileprivate init(_ batch: Batch) {
        self.init()
        owner = Unmanaged.passRetained(batch).toOpaque()
        (epoch, step) = (Int64(batch.epoch), Int64(batch.step))
        (rows, constituents) = (Int64(batch.rows), Int64(batch.constituents))
        (features, feature_count) = Self.writable(batch.features)
        (mask, mask_count) = Self.writable(batch.mask)
        (feature_offsets, feature_offset_count) = Self.writable(batch.featureOffsets)
        (labels, label_count) = Self.writable(batch.labels)
        (jet_features, jet_feature_count) = Self.writable(batch.jetFeatures)
        (token_input, token_count) = Self.writable(batch.tokenInput)
        token_target = Self.writable(batch.tokenTarget).0
        token_mask = Self.writable(batch.tokenMask).0
        if let base = batch.jets.baseAddress {
            // Int is int64_t here, under another name.
            jets = UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: Int64.self)
        }
        datasets = Self.writable(batch.datasets).0
        (offsets, offset_count) = Self.writable(batch.offsets)
    }

    /// The memory of a batch that one owner has is his to write to.
    private static func writable<Value>(
        _ values: UnsafeBufferPointer<Value>
    ) -> (UnsafeMutablePointer<Value>?, Int64) {
        (values.isEmpty ? nil : UnsafeMutablePointer(mutating: values.baseAddress), Int64(values.count))
    }
}
