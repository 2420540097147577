import Support

/// Bins that hold equal shares of a reference sample, with open outer edges: nothing lies outside.
///
/// Inner edges are the quantiles j/B of the reference; those of an observable of whole numbers move to the half-integer
/// above. Repeated edges count once, edges above the greatest entry not at all, and a bin that is empty in the
/// reference is joined to the one below it (the first to the one above). So each bin has a share of the reference, and
/// a divergence from it is finite.
public struct ProbabilityBins: Sendable, Equatable {
    /// The inner edges, ascending. Bin k holds entries x with exactly k edges ≤ x.
    public let edges: [Double]

    /// Bins of a reference.
    /// - Parameters:
    ///   - count: B, how many bins at most.
    ///   - isInteger: Whether the observable counts something; no bin then parts one number.
    /// - Throws: `EvaluationError` with code `options` if `count` is less than 1, `weights` if the reference has
    ///   weights.
    public init(reference: Sample, count: Int = 50, isInteger: Bool = false) throws {
        guard count >= 1 else {
            throw EvaluationError(.options, message: "\(count) bins", advice: "a divergence needs at least one bin")
        }
        try reference.refuseWeights("bins of equal probability")
        let greatest = reference.greatest
        var edges: [Double] = []
        for bin in 1..<max(1, count) {
            var edge = reference.quantile(Double(bin) / Double(count))
            if isInteger { edge = edge.rounded(.down) + 0.5 }
            if edge <= greatest, edges.last.map({ $0 < edge }) ?? true { edges.append(edge) }
        }
        var counts = Self.counts(reference, edges)
        while !edges.isEmpty, let empty = counts.firstIndex(of: 0) {
            edges.remove(at: max(empty - 1, 0))
            counts = Self.counts(reference, edges)
        }
        self.edges = edges
    }

    /// How many bins there are: edges and one.
    public var count: Int { edges.count + 1 }

    /// How many entries of a sample lie in each bin; its weights, if it has any, play no part.
    public func counts(_ sample: Sample) -> [Int] { Self.counts(sample, edges) }

    private static func counts(_ sample: Sample, _ edges: [Double]) -> [Int] {
        var counts: [Int] = [], before = 0
        for edge in edges {
            let below = sample.countBelow(edge)
            counts.append(below - before)
            before = below
        }
        return counts + [sample.count - before]
    }
}

/// The bins of the released evaluation of OmniJet-alpha, for comparison only.
///
/// Its edges are `edges` quantiles from 0.001 to 0.999 of the reference, entries outside are dropped, repeated
/// quantiles make bins of no width. A bin is closed on the left, the last one on both sides.
struct ReleasedBins: Sendable {
    let edges: [Double]

    init(reference: Sample, edges count: Int) throws {
        guard count >= 2 else {
            throw EvaluationError(.options, message: "\(count) edges", advice: "the released recipe needs at least two")
        }
        try reference.refuseWeights("bins of equal probability")
        let step = (0.999 - 0.001) / Double(count - 1)
        edges = (0..<count).map { reference.quantile($0 == count - 1 ? 0.999 : Double($0) * step + 0.001) }
    }

    /// Entries of each bin.
    func counts(_ sample: Sample) -> [Int] {
        let below = edges.enumerated().map { index, edge in
            index == edges.count - 1 ? sample.countUpTo(edge) : sample.countBelow(edge)
        }
        return zip(below, below.dropFirst()).map { $1 - $0 }
    }
}

extension Sample {
    /// - Throws: `EvaluationError` with code `weights` if there are any.
    func refuseWeights(_ what: String) throws {
        guard weights == nil else {
            throw EvaluationError(
                .weights, message: "\(what) of a weighted sample are not defined here",
                advice: "only Distance.wasserstein takes weights; Sample.unweighted leaves them out")
        }
    }
}
