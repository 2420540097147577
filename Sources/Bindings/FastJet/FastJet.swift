import CFastJet

/// FastJet, the library that defines what clustering of jets is (arXiv:1111.6097).
public enum FastJet {
    /// Its version, such as `FastJet version 3.4.0`.
    public static var version: String {
        _ = start
        return String(cString: cfj_version())
    }

    /// Without banner and without messages of its own; once, whichever thread comes first.
    private static let start: Void = cfj_start()

    /// What decides the order of mergers: the smallest of d_ij = min(w_i, w_j) dR_ij^2 / R^2 and d_iB = w_i.
    public enum Algorithm: Sendable, CaseIterable {
        /// w = pt^2.
        case kt
        /// Cambridge/Aachen: w = 1.
        case cambridge
        /// w = 1 / pt^2.
        case antiKt
    }

    /// How two objects become one.
    public enum Scheme: Sendable, CaseIterable {
        /// Their four-momenta are added.
        case energy
        /// Rapidity, azimuth and mass of the harder one; the sum of both pt.
        case winnerTakesAll
    }

    /// Clusters one set of constituents.
    /// - Parameters:
    ///   - px, py, pz, energy: In GeV, one number a constituent.
    ///   - radius: R.
    /// - Throws: `FastJetError` for columns of different lengths, numbers that are not finite, and what FastJet refuses.
    public static func cluster(
        px: [Double], py: [Double], pz: [Double], energy: [Double], algorithm: Algorithm, scheme: Scheme = .energy,
        radius: Double
    ) throws(FastJetError) -> ClusterHistory {
        let all = try cluster(
            px: px, py: py, pz: pz, energy: energy, offsets: [0, px.count], algorithm: algorithm, scheme: scheme,
            radius: radius)
        return all[0]
    }

    /// Clusters many sets of constituents, which lie one after the other: set j is offsets[j] ..< offsets[j + 1]. From any thread.
    /// - Throws: As for one set, and for offsets that do not lead through the columns.
    public static func cluster(
        px: [Double], py: [Double], pz: [Double], energy: [Double], offsets: [Int], algorithm: Algorithm,
        scheme: Scheme = .energy, radius: Double
    ) throws(FastJetError) -> [ClusterHistory] {
        let (parents, objects) = try clusterOnly(
            px: px, py: py, pz: pz, energy: energy, offsets: offsets, algorithm: algorithm, scheme: scheme,
            radius: radius)
        return zip(offsets, offsets.dropFirst()).map { from, to in
            ClusterHistory(
                parents: Array(parents[2 * from..<2 * to]), objects: Array(objects[6 * from..<6 * to]),
                constituents: (from..<to).map { [px[$0], py[$0], pz[$0], energy[$0]] })
        }
    }

    /// Clusters many sets, and gives what the C face gives: no more work than FastJet's.
    /// - Returns: For step s of set j, with k = offsets[j] + s, the objects that it took at 2k and 2k + 1, and at 6k px, py, pz, energy,
    ///   rapidity and azimuth of what it made.
    /// - Throws: As `cluster`.
    @discardableResult
    public static func clusterOnly(
        px: [Double], py: [Double], pz: [Double], energy: [Double], offsets: [Int], algorithm: Algorithm,
        scheme: Scheme = .energy, radius: Double
    ) throws(FastJetError) -> (parents: [Int32], objects: [Double]) {
        let count = px.count
        guard py.count == count, pz.count == count, energy.count == count else {
            throw FastJetError(
                message: "px, py, pz, energy have \(count), \(py.count), \(pz.count), \(energy.count) numbers")
        }
        guard offsets.first == 0, offsets.last == count, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 })
        else { throw FastJetError(message: "offsets do not rise from 0 to the \(count) constituents") }
        guard count <= Int(Int32.max) / 6 else { throw FastJetError(message: "\(count) constituents are too many") }
        // FastJet gives some jets for NaN, without a word.
        for column in [px, py, pz, energy] where !column.allSatisfy(\.isFinite) {
            throw FastJetError(message: "a momentum is not finite")
        }
        guard radius.isFinite, radius > 0 else { throw FastJetError(message: "the radius \(radius) is not positive") }
        _ = start
        var parents = [Int32](repeating: -1, count: 2 * count)
        var objects = [Double](repeating: 0, count: 6 * count)
        let status = cfj_cluster(
            offsets.count - 1, offsets.map { Int64($0) }, px, py, pz, energy, algorithm.code, scheme.code, radius,
            &parents, &objects)
        guard status == 0 else { throw FastJetError(message: String(cString: cfj_error())) }
        return (parents, objects)
    }
}

extension FastJet.Algorithm {
    fileprivate var code: cfj_algorithm {
        switch self {
        case .kt: CFJ_KT
        case .cambridge: CFJ_CAMBRIDGE
        case .antiKt: CFJ_ANTI_KT
        }
    }
}

extension FastJet.Scheme {
    fileprivate var code: cfj_scheme {
        switch self {
        case .energy: CFJ_E
        case .winnerTakesAll: CFJ_WTA_PT
        }
    }
}
