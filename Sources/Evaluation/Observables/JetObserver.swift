import Foundation
import Kernels
import Support

/// Computes the observables of single jets, one after the other.
///
/// Each recombination scheme is clustered once, and its history serves all N. Definitions: docs/evaluation.md. The convention for jets with
/// few constituents: tau_N = 0 if there are at most N; a ratio whose denominator is at most 1e-12 is NaN; without constituents, or with one
/// whose momentum is not finite, all is NaN.
///
/// Not Sendable: one thread owns it with its memory.
public final class JetObserver {
    /// What it computes.
    public let groups: ObservableGroups
    /// How.
    public let options: SubstructureOptions
    /// The observables in the order of its results.
    public let observables: [Observable]
    /// A jet with more constituents is refused: correlators take n^2 memory and n^3 time.
    public static let mostConstituents = 4096
    /// kT without the beam; fjcontrib's number.
    static let unlimited = 1000.0
    /// The largest N of N-subjettiness.
    static let most = 4
    let clusters = JetClusters()
    private let memory = AlignedBuffer()
    private let matrix = AlignedBuffer()
    private var room = 0
    /// Of the jet at hand: padded columns; `eta` is the pseudorapidity, `sub...` the constituents of the exclusive jet.
    var pt: UnsafeMutablePointer<Double>
    var eta: UnsafeMutablePointer<Double>
    var y: UnsafeMutablePointer<Double>
    var phi: UnsafeMutablePointer<Double>
    var part: (pt: UnsafeMutablePointer<Double>, y: UnsafeMutablePointer<Double>, phi: UnsafeMutablePointer<Double>)
    /// y, phi of the axes for N = 1 ... 4, from N (N - 1) on.
    let axes: UnsafeMutablePointer<Double>
    private let axisMemory = AlignedBuffer(capacity: 160)
    var scalarSum = 0.0

    /// An observer of some groups.
    /// - Throws: `ObservableError` with code `options` for a number that makes no sense.
    public init(
        _ groups: ObservableGroups = .original, options: SubstructureOptions = SubstructureOptions()
    ) throws(ObservableError) {
        try options.check()
        self.groups = groups
        self.options = options
        observables = groups.observables
        axes = axisMemory.base.assumingMemoryBound(to: Double.self)
        axes.initialize(repeating: 0, count: 20)
        let base = memory.base.assumingMemoryBound(to: Double.self)
        (pt, eta, y, phi) = (base, base, base, base)
        part = (base, base, base)
    }

    /// The observables of a jet, in the order of `observables`.
    /// - Parameters:
    ///   - px, py, pz, energy: Of its constituents in GeV.
    ///   - types: Of its constituents; nil: all are `other`.
    /// - Throws: `ObservableError` with code `input` for columns of different lengths or too many constituents.
    public func observe(
        px: [Double], py: [Double], pz: [Double], energy: [Double], types: [ConstituentType]? = nil
    ) throws(ObservableError) -> [Double] {
        guard py.count == px.count, pz.count == px.count, energy.count == px.count,
            (types?.count ?? px.count) == px.count
        else {
            throw ObservableError(
                .input,
                message: "px, py, pz, energy have \(px.count), \(py.count), \(pz.count), \(energy.count) numbers",
                advice: "give one of each a constituent")
        }
        try reserve(px.count)
        for (column, values) in [
            (clusters.objects.px, px), (clusters.objects.py, py), (clusters.objects.pz, pz),
            (clusters.objects.energy, energy),
        ] {
            for (index, value) in values.enumerated() { column?[index] = value }
        }
        var result = [Double](repeating: .nan, count: observables.count)
        let codes = types?.map(\.rawValue) ?? []
        result.withUnsafeMutableBufferPointer { result in
            codes.withUnsafeBufferPointer { codes in
                if let base = result.baseAddress { observe(types: types == nil ? nil : codes.baseAddress, into: base) }
            }
        }
        return result
    }

    /// Makes room for the constituents of a jet: `clusters.objects` then takes px, py, pz and energy.
    func reserve(_ count: Int) throws(ObservableError) {
        guard count <= Self.mostConstituents else {
            throw ObservableError(
                .input, message: "a jet has \(count) constituents, at most \(Self.mostConstituents) are possible")
        }
        clusters.reserve(count)
        let padded = Int(pando_padded(count))
        guard padded > room else { return }
        room = max(128, 2 * padded)
        memory.reserve(7 * room * 8)
        let base = memory.base.assumingMemoryBound(to: Double.self)
        base.initialize(repeating: 0, count: 7 * room)
        (pt, eta, y, phi) = (base, base + room, base + 2 * room, base + 3 * room)
        part = (base + 4 * room, base + 5 * room, base + 6 * room)
    }

    /// Whether all momenta are finite, and their sums too.
    private func isFinite() -> Bool {
        let o = clusters.objects
        var sum = 0.0
        for i in 0..<clusters.count {
            sum += abs(o.px[i]) + abs(o.py[i]) + abs(o.pz[i]) + abs(o.energy[i])
        }
        // Far below what overflows as a square or a product of energies.
        return sum < 1e60
    }

    /// Observes the jet in `clusters`; `result` has room for all observables. Returns whether its momenta are finite.
    @discardableResult
    func observe(types: UnsafePointer<UInt8>?, into result: UnsafeMutablePointer<Double>) -> Bool {
        let count = clusters.count
        for index in observables.indices { result[index] = .nan }
        guard count > 0 else { return true }
        guard isFinite() else { return false }
        clusters.prepare()
        copyConstituents()
        var out = result
        func next(_ width: Int) -> UnsafeMutablePointer<Double> {
            defer { out += width }
            return out
        }
        if groups.contains(.jet) { sum(into: next(5)) }
        let isEnough = count >= options.minimumConstituents
        let original = groups.contains(.nsubjettiness) ? next(7) : nil
        let correlators = groups.contains(.correlators) ? next(4) : nil
        let groomed = groups.contains(.groomed) ? next(5) : nil
        let literature = groups.contains(.literature) ? next(18) : nil
        let onePass = groups.contains(.onePass) ? next(14) : nil
        if isEnough {
            observeTaus(original, correlators, literature, onePass)
            if let groomed { groom(into: groomed) }
        }
        if groups.contains(.types) {
            let counts = next(6)
            for kind in 0..<6 { counts[kind] = 0 }
            for index in 0..<count { counts[min(5, Int(types?[index] ?? 5))] += 1 }
        }
        return true
    }

    /// Takes what all recipes need from the prepared constituents.
    private func copyConstituents() {
        let count = clusters.count, padded = Int(pando_padded(count)), o = clusters.objects
        scalarSum = 0
        for i in 0..<count {
            pt[i] = o.pt[i]
            y[i] = o.y[i]
            phi[i] = o.phi[i]
            scalarSum += o.pt[i]
        }
        for i in count..<padded { (pt[i], y[i], phi[i], eta[i]) = (0, 0, 0, 0) }
        if groups.contains(.nsubjettiness) { pando_pseudorapidity(count, o.pz, o.pt, eta) }
    }

    private func sum(into out: UnsafeMutablePointer<Double>) {
        let o = clusters.objects
        var px = 0.0, py = 0.0, pz = 0.0, energy = 0.0
        for i in 0..<clusters.count {
            px += o.px[i]
            py += o.py[i]
            pz += o.pz[i]
            energy += o.energy[i]
        }
        var transverse = (px * px + py * py).squareRoot()
        out[0] = transverse
        pando_pseudorapidity(1, &pz, &transverse, out + 1)
        pando_azimuth(1, &py, &px, out + 2)
        out[3] = JetClusters.mass(px: px, py: py, pz: pz, energy: energy)
        out[4] = Double(clusters.count)
    }

    /// Soft drop of all constituents (arXiv:1402.2657): Cambridge/Aachen backwards, always along the harder branch.
    private func groom(into out: UnsafeMutablePointer<Double>) {
        clusters.cluster(PANDO_CLUSTER_CAMBRIDGE, PANDO_CLUSTER_E, radius: Self.unlimited)
        let o = clusters.objects, count = clusters.count
        var object = clusters.parents(ofStep: count - 1).0, z = Double.nan, distance = Double.nan
        while object >= count {
            let (a, b) = clusters.parents(ofStep: object - count)
            guard b >= 0 else { break }
            let dy = o.y[a] - o.y[b]
            var dphi = abs(o.phi[a] - o.phi[b])
            if dphi > .pi { dphi = 2 * .pi - dphi }
            let angle = (dy * dy + dphi * dphi).squareRoot(), share = min(o.pt[a], o.pt[b]) / (o.pt[a] + o.pt[b])
            let power =
                options.softDropExponent == 0 ? 1 : pow(angle / options.softDropRadius, options.softDropExponent)
            if share > options.softDropCut * power {
                (z, distance) = (share, angle)
                break
            }
            object = o.pt[a] >= o.pt[b] ? a : b
        }
        var constituents = 0
        clusters.forEachConstituent(of: object) { _ in constituents += 1 }
        out[0] = clusters.mass(of: object)
        out[1] = o.pt[object]
        out[2] = z
        out[3] = distance
        out[4] = Double(constituents)
    }

    /// Writes e2, e3, C2 and D2 of constituents that lie in padded columns.
    func correlate(
        _ count: Int, _ pt: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ phi: UnsafePointer<Double>,
        into out: UnsafeMutablePointer<Double>
    ) {
        let padded = pando_padded(count)
        matrix.reserve(2 * padded * padded * 8)
        var sums = (0.0, 0.0, 0.0)
        withUnsafeMutableBytes(of: &sums) { sums in
            guard let base = sums.baseAddress else { return }
            pando_correlators(
                count, pt, y, phi, matrix.base.assumingMemoryBound(to: Double.self),
                base.assumingMemoryBound(to: Double.self))
        }
        let second = sums.1 / (sums.0 * sums.0), third = sums.2 / (sums.0 * sums.0 * sums.0)
        out[0] = second
        out[1] = third
        out[2] = Self.ratio(third, second * second)
        out[3] = Self.ratio(third, second * second * second)
    }

    /// NaN where the denominator is nothing but rounding.
    static func ratio(_ a: Double, _ b: Double) -> Double { b > 1e-12 ? a / b : .nan }
}
