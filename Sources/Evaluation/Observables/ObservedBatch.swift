import Kernels
import Loader

/// The observables of the jets of one batch.
struct ObservedBatch: Sendable {
    /// The number of the batch.
    let step: Int
    /// `[jets, observables]`, row-major.
    var values: [Double] = []
    var jets: [Int] = []
    var labels: [Int32] = []
    var counts = ObservableTable.Counts()
    var constituents: ConstituentTable?

    init(
        _ batch: Batch, _ reader: ConstituentReader, _ observer: JetObserver, labels chosen: Set<Int32>?,
        keepsConstituents: Bool
    ) throws {
        step = batch.step
        let width = observer.observables.count
        var row = [Double](repeating: 0, count: max(1, width)), types: [UInt8] = [], scratch: [Double] = []
        var found = keepsConstituents ? ConstituentTable() : nil
        values.reserveCapacity(batch.rows * width)
        for jet in 0..<batch.rows {
            let label = batch.labels.isEmpty ? nil : batch.labels[jet]
            if let chosen, let label, !chosen.contains(label) { continue }
            try reader.fill(observer, from: batch, row: jet, types: &types, scratch: &scratch)
            let isFinite = row.withUnsafeMutableBufferPointer { row in
                types.withUnsafeBufferPointer { types in
                    row.baseAddress.map { observer.observe(types: types.baseAddress, into: $0) } ?? true
                }
            }
            values += row.prefix(width)
            jets.append(batch.jets[jet])
            if let label { labels.append(label) }
            switch types.count {
            case 0: counts.empty += 1
            case 1, 2: counts.fewerThanThree += 1
            default: break
            }
            if !isFinite { counts.notFinite += 1 }
            found?.add(observer, types)
        }
        constituents = found
    }
}

extension ConstituentTable {
    /// Adds the constituents that an observer has.
    mutating func add(_ observer: JetObserver, _ codes: [UInt8]) {
        let count = codes.count, o = observer.clusters.objects
        offsets.append((offsets.last ?? 0) + count)
        types += codes.map { ConstituentType(rawValue: $0) ?? .other }
        guard count > 0 else { return }
        var px = 0.0, py = 0.0, pz = 0.0
        for i in 0..<count {
            px += o.px[i]
            py += o.py[i]
            pz += o.pz[i]
        }
        var transverse = (px * px + py * py).squareRoot(), axis = 0.0, azimuth = 0.0
        pando_pseudorapidity(1, &pz, &transverse, &axis)
        pando_azimuth(1, &py, &px, &azimuth)
        let pts = (0..<count).map { (o.px[$0] * o.px[$0] + o.py[$0] * o.py[$0]).squareRoot() }
        var etas = [Double](repeating: 0, count: count), phis = etas
        pando_pseudorapidity(count, o.pz, pts, &etas)
        pando_azimuth(count, o.py, o.px, &phis)
        let relative = phis.map { phi in
            let turned = phi - azimuth
            return turned > .pi ? turned - 2 * .pi : turned < -.pi ? turned + 2 * .pi : turned
        }
        for (index, column) in [pts, etas, phis, etas.map { $0 - axis }, relative].enumerated() {
            numbers[index] += column
        }
    }
}
