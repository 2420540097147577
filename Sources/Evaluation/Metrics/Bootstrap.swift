import Support

/// How much metrics change if both samples are drawn again, with replacement, from themselves (Efron 1979).
///
/// No sample is drawn and sorted again: how often each entry comes is a multinomial number, drawn along the sorted
/// entries; for divergences, whose bins stay those of the full reference, it is drawn for whole bins. A replica's
/// numbers follow from `seed`, `label`, the metric and its number, on any number of threads.
public struct Bootstrap: Sendable {
    /// How many replicas.
    public var replicas: Int
    /// The same seed gives the same uncertainties.
    public var seed: UInt64
    /// What is measured, such as observable, training size and run: other labels, other numbers.
    public var label: String
    /// Threads that draw.
    public var threads: Int

    /// A bootstrap.
    public init(replicas: Int = 200, seed: UInt64 = 0, label: String = "", threads: Int = Machine.usableCores) {
        self.replicas = replicas
        self.seed = seed
        self.label = label
        self.threads = threads
    }

    /// Replicas of a divergence over the same bins.
    /// - Parameter metric: `kl`, `jensenShannon` or `klReleased`.
    /// - Throws: `EvaluationError` with code `options` without replicas or for another metric, `weights` if a sample
    ///   has weights.
    func divergences(
        _ metric: Metric, _ generated: Sample, reference: Sample, bins: ProbabilityBins, released edges: Int
    ) throws -> [Double] {
        try check()
        try generated.refuseWeights("replicas of a divergence")
        try reference.refuseWeights("replicas of a divergence")
        let isReleased = metric == .klReleased
        let old = try isReleased ? ReleasedBins(reference: reference, edges: edges) : nil
        // What lies outside of the released bins is a bin too, as entries may be drawn from there.
        func counts(_ sample: Sample) -> [Int] {
            guard let old else { return bins.counts(sample) }
            let inside = old.counts(sample)
            return inside + [sample.count - inside.reduce(0, +)]
        }
        let p = counts(generated), q = counts(reference)
        return (0..<replicas).map { replica in
            var random = random(metric.rawValue, replica)
            let drawn = (random.multinomial(generated.count, of: p), random.multinomial(reference.count, of: q))
            if let old {
                return Divergence.released(Array(drawn.0.dropLast()), Array(drawn.1.dropLast()), edges: old.edges)
            }
            let shares = (Divergence.shares(drawn.0), Divergence.shares(drawn.1))
            return metric == .jensenShannon
                ? Divergence.jensenShannon(shares.0, shares.1) : Divergence.kl(shares.0, shares.1)
        }
    }

    /// Replicas of both distances.
    /// - Throws: `EvaluationError` with code `options` without replicas.
    func distances(_ generated: Sample, reference: Sample) throws -> [Distance.Pair] {
        try check()
        if generated.weights != nil || reference.weights != nil { return try weighted(generated, reference) }
        if let a = generated.integers, let b = reference.integers {
            return (0..<replicas).map { replica in
                var random = random(Metric.wasserstein.rawValue, replica)
                let drawn = (
                    IntegerCounts(least: a.least, counts: random.multinomial(generated.count, of: a.counts)),
                    IntegerCounts(least: b.least, counts: random.multinomial(reference.count, of: b.counts))
                )
                return Distance.counted(drawn.0, generated.count, drawn.1, reference.count)
                    .scaled(by: 1 / (Double(generated.count) * Double(reference.count)))
            }
        }
        return try onThreads { ReplicaWalk(generated.values, reference.values, replicas: $0, of: self).run() }
    }

    /// Each replica weighs every entry again, so that its sums are made anew.
    private func weighted(_ generated: Sample, _ reference: Sample) throws -> [Distance.Pair] {
        try onThreads { own in
            own.map { replica in
                var random = random(Metric.wasserstein.rawValue, replica)
                func drawn(_ sample: Sample) -> [Double] {
                    var weights = Array(repeating: 0.0, count: sample.count)
                    for _ in 0..<sample.count {
                        let entry = Int(random.below(UInt32(clamping: sample.count)))
                        weights[entry] += sample.weights?[entry] ?? 1
                    }
                    return weights
                }
                let weights = (drawn(generated), drawn(reference))
                return Distance.Pair(
                    wasserstein: Distance.weighted(generated.values, weights.0, reference.values, weights.1),
                    kolmogorovSmirnov: .nan)
            }
        }
    }

    /// Deals the replicas to threads and puts what they find in order.
    private func onThreads(_ work: @escaping @Sendable ([Int]) -> [Distance.Pair]) throws -> [Distance.Pair] {
        let count = replicas, workers = max(1, min(threads, count))
        let found = Monitor([Int: [Distance.Pair]]())
        try WorkerThreads.run(workers) { thread in
            let pairs = work(Array(count * thread / workers..<count * (thread + 1) / workers))
            found.update { $0[thread] = pairs }
        }
        return found.read { $0.sorted { $0.key < $1.key }.flatMap(\.value) }
    }

    func random(_ purpose: String, _ replica: Int) -> ReplicaRandom {
        ReplicaRandom(seed: seed, purpose: purpose + "\n" + label, replica: replica)
    }

    private func check() throws {
        guard replicas >= 2, threads >= 1 else {
            throw EvaluationError(
                .options, message: "\(replicas) replicas on \(threads) threads",
                advice: "an uncertainty needs at least two replicas; 200 are usual")
        }
    }
}

extension Distance.Pair {
    func scaled(by factor: Double) -> Distance.Pair {
        Distance.Pair(wasserstein: wasserstein * factor, kolmogorovSmirnov: kolmogorovSmirnov * factor)
    }
}
