import Kernels
import Shards
import Support

/// Makes batches out of rows in memory. Not Sendable: one thread owns it with its memory.
final class BatchMaker {
    /// What is needed for the rows of one dataset.
    private struct Workplace {
        let part: DatasetPart
        let stored: StoredJets
        let decoder: JetDecoder
        /// Where fields are decoded to, if the batch mixes datasets.
        let columns: JetColumns?
        let rows = AlignedBuffer()
        let slots = AlignedBuffer()
    }

    private let workplaces: [Workplace]
    private var counts: [Int]
    private let angles = (AlignedBuffer(), AlignedBuffer(), AlignedBuffer())
    private let axes = AlignedBuffer()
    private let spans = AlignedBuffer()
    private var row = 0

    init(parts: [DatasetPart]) throws {
        workplaces = try parts.map { part in
            let encoding = part.selection.encoding
            return Workplace(
                part: part, stored: StoredJets(part.selection.stored),
                decoder: try JetDecoder(encoding: encoding, file: part.dataset.directory),
                columns: parts.count > 1 ? JetColumns(fields: encoding.fields) : nil)
        }
        counts = parts.map { _ in 0 }
        for workplace in workplaces {
            let size = workplace.part.batch
            workplace.stored.reserve(
                rows: size.rows, constituents: size.constituents, exceptions: size.constituents / 4)
            workplace.decoder.reserve(rows: size.rows, constituents: size.constituents)
            workplace.columns?.resize(rows: size.rows, constituents: size.constituents)
            for buffer in [angles.0, angles.1, angles.2] { buffer.reserve(4 * size.constituents) }
        }
    }

    /// Begins a batch of at most `rows` rows.
    func begin(rows: Int) {
        row = 0
        for (index, workplace) in workplaces.enumerated() {
            workplace.rows.reserve(rows * MemoryLayout<pando_stored_row>.stride)
            workplace.slots.reserve(rows * 4)
            counts[index] = 0
        }
    }

    /// Adds the batch's next row, of dataset `part`.
    @inline(__always)
    func add(_ stored: pando_stored_row, of part: Int) {
        let workplace = workplaces[part], count = counts[part]
        workplace.rows.base.assumingMemoryBound(to: pando_stored_row.self)[count] = stored
        workplace.slots.base.assumingMemoryBound(to: Int32.self)[count] = Int32(truncatingIfNeeded: row)
        counts[part] = count + 1
        row += 1
    }

    /// Fills a batch with the rows that were added.
    /// - Throws: `DatasetError` if what is stored contradicts itself, `LoaderError` for features.
    func finish(_ batch: Batch) throws {
        batch.rows = row
        batch.numbers.reserve(row * 8)
        batch.sourceNumbers.reserve(row * 4)
        for part in workplaces.indices where counts[part] > 0 || workplaces.count == 1 { try finish(batch, part) }
    }

    private func finish(_ batch: Batch, _ part: Int) throws {
        let workplace = workplaces[part], count = counts[part], file = workplace.part.dataset.directory
        let rows = UnsafeBufferPointer(workplace.rows.elements(pando_stored_row.self, count: count))
        let slots = workplace.slots.elements(Int32.self, count: count)
        let jets = batch.numbers.elements(Int.self, count: row)
        let sources = batch.sourceNumbers.elements(Int32.self, count: row)
        for (place, slot) in zip(rows, slots) {
            jets[Int(slot)] = Int(place.from.pointee.first_row + place.row)
            sources[Int(slot)] = Int32(truncatingIfNeeded: part)
        }
        let stored = workplace.stored, selection = workplace.part.selection
        try stored.gather(rows, file: file)
        let columns = workplace.columns ?? batch.columns
        if selection.decodesFields { try workplace.decoder.decode(stored, into: columns, file: file) }
        if let features = selection.features {
            try assemble(features, workplace, columns, into: batch, file: file)
        }
    }

    private func assemble(
        _ features: FeatureSelection, _ workplace: Workplace, _ columns: JetColumns, into batch: Batch, file: String
    ) throws {
        let stored = workplace.stored, count = stored.constituents, assembler = features.assembler
        func floats(_ field: Int) -> UnsafePointer<Float> {
            UnsafePointer(columns.fields[field].base.assumingMemoryBound(to: Float.self))
        }
        var input = FeatureInput()
        if features.usesAngles {
            let (pt, eta, phi) = (angles.0.floats(count), angles.1.floats(count), angles.2.floats(count))
            try workplace.decoder.decodeAngles(stored, pt: pt, eta: eta, phi: phi, file: file)
            input.pt = UnsafePointer(pt)
            input.eta = UnsafePointer(eta)
            input.phi = UnsafePointer(phi)
        }
        if let momenta = features.momenta {
            input.px = floats(momenta[0])
            input.py = floats(momenta[1])
            input.pz = floats(momenta[2])
        }
        input.energy = features.energy.map(floats)
        input.fields = features.stored.map(floats)
        if let axis = features.axis {
            axes.reserve(stored.rows * MemoryLayout<JetAxis>.stride)
            let all = axes.base.assumingMemoryBound(to: JetAxis.self)
            let (pt, eta, phi, mass) = (floats(axis[0]), floats(axis[1]), floats(axis[2]), floats(axis[3]))
            for row in 0..<stored.rows {
                all[row] = JetAxis(pt: Double(pt[row]), eta: Double(eta[row]), phi: Double(phi[row]), energy: 0)
                if features.energy != nil { all[row].energy = all[row].energy(mass: Double(mass[row])) }
            }
            input.axes = UnsafePointer(all)
        }
        let length = assembler.configuration.padLength, width = assembler.configuration.features.count
        batch.featureCounts = (batch.rows * length * width, batch.rows * length, 0)
        batch.featureValues.reserve(batch.featureCounts.values * 4)
        batch.featureMask.reserve(batch.featureCounts.flags)
        spans.reserve(stored.rows * MemoryLayout<JetSpan>.stride)
        let jets = spans.elements(JetSpan.self, count: stored.rows), offsets = stored.offsetNumbers
        for row in 0..<stored.rows {
            jets[row] = JetSpan(start: Int(offsets[row]), count: Int(offsets[row + 1] - offsets[row]), axis: row)
        }
        try assembler.assemble(
            input, jets: jets, values: batch.featureValues.base.assumingMemoryBound(to: Float.self),
            mask: batch.featureMask.base.assumingMemoryBound(to: UInt8.self))
    }
}

extension JetAxis {
    /// The energy that goes with a mass in GeV, and pt and eta.
    fileprivate func energy(mass: Double) -> Double {
        var (eta, sinh, cosh) = (min(max(eta, -20), 20), 0.0, 0.0)
        pando_sinhcosh(1, &eta, &sinh, &cosh)
        return (pt * cosh * (pt * cosh) + mass * mass).squareRoot()
    }
}

extension AlignedBuffer {
    /// Room for `count` floats.
    fileprivate func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        reserve(count * 4)
        return base.assumingMemoryBound(to: Float.self)
    }
}
