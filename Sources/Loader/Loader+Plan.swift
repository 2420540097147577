import Kernels
import Shards
import Support

extension Loader {
    /// The plan of an epoch; of a mixture, that of its first dataset's first pass.
    public func plan(epoch: Int) -> EpochPlan { epochPlan(of: parts[0], seed: options.seed, epoch: epoch) }

    /// Rows of a window at most: none is longer than one and a half times what was asked for, nor than its stream.
    var longestWindow: Int {
        let rows = parts.map { part in
            min(
                (options.windowLength * 3 / 2 + 1) * part.largest.rows,
                part.jetCount / options.streamCount + 1)
        }
        return rows.max() ?? 0
    }

    /// Which dataset comes when in an epoch; nil if there is one only.
    /// - Throws: `LoaderError` with code `options` for weights that make no sense.
    public func mixturePlan(epoch: Int) throws(LoaderError) -> MixturePlan? {
        guard sources.count > 1 else { return nil }
        return try MixturePlan(
            rows: parts.map(\.jetCount), weights: sources.map(\.weight), streams: options.streamCount,
            share: options.batchSize / options.streamCount, length: options.mixtureLength, dropLast: options.dropLast,
            seed: options.seed, epoch: epoch)
    }

    private func epochPlan(of part: DatasetPart, seed: UInt64, epoch: Int) -> EpochPlan {
        if options.exact {
            return .exact(
                ExactPlan(
                    rows: part.rows, batchSize: options.batchSize, streams: options.streamCount,
                    shuffles: options.shuffle, seed: seed, epoch: epoch))
        }
        return .windowed(
            ShufflePlan(
                rows: part.rows, streams: options.streamCount, window: options.windowLength,
                shuffles: options.shuffle, seed: seed, epoch: epoch))
    }

    func rankPlan(epoch: Int, rank: Int) throws(LoaderError) -> RankPlan {
        let mixture = try mixturePlan(epoch: epoch), streams = options.streamCount / options.worldSize
        let plans = parts.enumerated().map { number, part in
            SourcePlan(part: part) { [self] pass in
                guard let mixture else { return epochPlan(of: part, seed: options.seed, epoch: epoch) }
                return epochPlan(of: part, seed: mixture.seed(ofDataset: number, pass: pass), epoch: 0)
            }
        }
        return RankPlan(
            epoch: epoch, sources: plans, mixture: mixture, streams: rank * streams..<(rank + 1) * streams,
            share: options.batchSize / options.streamCount, isExact: options.exact)
    }

    /// What all datasets have to do with each other, as one fingerprint.
    var fingerprint: Digest {
        guard parts.count > 1 else { return parts[0].dataset.catalogue.fingerprint }
        return JetColumns.content(parts.map(\.dataset.catalogue.fingerprint))
    }

    /// The options that decide the sequence, by name.
    var deciding: [String: String] {
        var all = options.deciding
        guard sources.count > 1 else {
            all["split"] = split(0)
            return all
        }
        all["weights"] = sources.map { "\($0.weight)" }.joined(separator: " ")
        all["epoch ends with"] = options.mixtureLength.rawValue
        all["split"] = nil
        all["splits"] = sources.indices.map { split($0) ?? "all" }.joined(separator: ", ")
        return all
    }

    /// The split that is taken of a dataset, with what decides it: fingerprints do not tell whose jets are where.
    private func split(_ source: Int) -> String? {
        guard let name = sources[source].split ?? options.split else { return nil }
        let splits = parts[source].dataset.catalogue.splits
        let shares = splits?.parts.map { "\($0.name) below \($0.below)" }.joined(separator: ", ") ?? ""
        return "\(name) (\(splits?.columns.joined(separator: " ") ?? ""): \(shares))"
    }

    /// Where each jet of a batch came from, without reading what lies before it.
    /// - Throws: `LoaderError` with code `options` or `rank` if there is no such batch; what reading throws.
    public func jets(inStep step: Int, rank: Int, epoch: Int) throws -> [JetOrigin] {
        let steps = try steps(epoch: epoch)
        guard (0..<steps).contains(step) else {
            throw LoaderError(
                .options, file: dataset.directory, place: "step \(step)",
                message: "does not exist; an epoch has \(steps)")
        }
        try checkRank(rank)
        let readers = try zip(parts, sources).map { part, source in
            var own = options
            own.split = source.split ?? options.split
            return try OriginReader(dataset: part.dataset, options: own)
        }
        return try rankPlan(epoch: epoch, rank: rank).rows(inStep: step, windows: WindowOrders(keepsAll: false)).map {
            try readers[$0.dataset].origin(of: $0.place, dataset: $0.dataset)
        }
    }

    /// Bytes that loading one epoch at a time takes at most, beside the index and the plan (some 100 bytes a record batch):
    /// the record batches of all windows, and batches that are ready, being made, or in use.
    public var memoryBound: Int {
        var sum = 0
        for part in parts {
            let kept = options.storeCapacity(batches: part.dataset.batchCount), size = part.largest
            // One exception in sixteen constituents is more than there are.
            sum +=
                kept
                * part.selection.stored.byteCount(
                    rows: size.rows, constituents: size.constituents, exceptions: size.constituents / 16)
            if !options.exact { sum += kept * size.rows * MemoryLayout<pando_stored_row>.stride }
            // What a thread reads into, gathers, and decodes for angles, energies and features.
            let own = part.batch, selection = part.selection
            var thread = (0..<part.dataset.batchCount).map { part.dataset.record(ofBatch: $0).bytes }.max() ?? 0
            thread += selection.stored.byteCount(
                rows: own.rows, constituents: own.constituents, exceptions: own.constituents / 16)
            thread += own.constituents * (40 + 4 * (selection.features?.stored.count ?? 0)) + 64 * own.rows
            if parts.count > 1 || !selection.decodesToBatch { thread += selection.decodedBytes(own) }
            sum += options.threads * thread
        }
        let size = BatchSize(
            rows: parts[0].batch.rows, constituents: parts.map(\.batch.constituents).max() ?? 0)
        let selection = parts[0].selection
        var batch = 64 * size.rows
        if selection.decodesToBatch { batch += selection.decodedBytes(size, onlyNamed: parts.count > 1) }
        if let features = contents.features {
            batch += size.rows * features.padLength * (1 + 4 * features.features.count)
            batch += size.rows * 4 * features.jetFeatures.count
        }
        batch += size.rows * (4 + 9 * (contents.tokens?.length ?? 0))
        sum += (options.prefetch + options.threads + 2) * batch
        // Code, stacks, and what the language and the libraries keep.
        return sum + options.threads * (2 << 20) + (48 << 20)
    }
}
