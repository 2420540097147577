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
        let extras: ExtraMaker
        /// Where fields are decoded to, if not to the batch.
        let columns: JetColumns?
        let rows = AlignedBuffer()
        let slots = AlignedBuffer()
        /// pt, eta and phi of constituents, and the axes of jets.
        let angles = (AlignedBuffer(), AlignedBuffer(), AlignedBuffer())
        let axes = AlignedBuffer()
        /// Stored fields of features that are not float32.
        let numbers: [AlignedBuffer]
        /// Where the stored fields of features are.
        let table: UnsafeMutableBufferPointer<UnsafePointer<Float>?>
    }

    private let workplaces: [Workplace]
    private var counts: [Int]
    /// Feature inputs of each dataset.
    private var inputs: [FeatureInput]
    private let merged = AlignedBuffer()
    private let isJagged: Bool
    private var row = 0

    init(parts: [DatasetPart], isJagged: Bool) throws {
        self.isJagged = isJagged
        workplaces = try parts.map { part in
            let encoding = part.selection.encoding
            return Workplace(
                part: part, stored: StoredJets(part.selection.stored),
                decoder: try JetDecoder(encoding: encoding, file: part.dataset.directory),
                extras: ExtraMaker(part: part),
                columns: part.selection.decodesToBatch && parts.count == 1 ? nil : JetColumns(fields: encoding.fields),
                numbers: (part.selection.features?.stored ?? []).map { _ in AlignedBuffer() },
                table: .allocate(capacity: max(1, part.selection.features?.stored.count ?? 0)))
        }
        counts = parts.map { _ in 0 }
        inputs = parts.map { _ in FeatureInput() }
        for workplace in workplaces {
            let size = workplace.part.batch
            workplace.stored.reserve(
                rows: size.rows, constituents: size.constituents, exceptions: size.constituents / 4)
            workplace.decoder.reserve(rows: size.rows, constituents: size.constituents)
            workplace.columns?.resize(rows: size.rows, constituents: size.constituents)
            let angles = workplace.angles
            for buffer in [angles.0, angles.1, angles.2] { buffer.reserve(4 * size.constituents) }
            for (field, buffer) in zip(workplace.part.selection.features?.stored ?? [], workplace.numbers)
            where workplace.part.selection.encoding.fields[field].type != .float32 {
                buffer.reserve(4 * size.constituents)
            }
            workplace.axes.reserve(size.rows * MemoryLayout<JetAxis>.stride)
        }
    }

    deinit {
        for workplace in workplaces { workplace.table.deallocate() }
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

    /// Adds the batch's next rows, of the only dataset.
    func add(_ stored: UnsafeBufferPointer<pando_stored_row>) {
        guard let source = stored.baseAddress else { return }
        let rows = workplaces[0].rows.base.assumingMemoryBound(to: pando_stored_row.self)
        (rows + row).update(from: source, count: stored.count)
        row += stored.count
        counts[0] = row
    }

    /// Fills a batch with the rows that were added.
    /// - Throws: `DatasetError` if what is stored contradicts itself, `LoaderError` for features.
    func finish(_ batch: Batch) throws {
        batch.rows = row
        batch.numbers.reserve(row * 8)
        batch.sourceNumbers.reserve(row * 4)
        batch.featureCounts = (0, 0, 0)
        batch.reserveExtras(rows: row)
        for part in workplaces.indices { try finish(batch, part) }
        batch.constituents = workplaces.reduce(0) { $0 + $1.stored.constituents }
        guard workplaces.count > 1 else { return }
        merge(into: batch)
        if isJagged { try writeJagged(into: batch) }
    }

    private func finish(_ batch: Batch, _ part: Int) throws {
        let workplace = workplaces[part], count = counts[part], file = workplace.part.dataset.directory
        let rows = UnsafeBufferPointer(workplace.rows.elements(pando_stored_row.self, count: count))
        let jets = batch.numbers.elements(Int.self, count: row)
        let sources = batch.sourceNumbers.elements(Int32.self, count: row)
        let slots = workplaces.count > 1 ? workplace.slots.elements(Int32.self, count: count) : nil
        for (index, place) in rows.enumerated() {
            let slot = slots.map { Int($0[index]) } ?? index
            jets[slot] = Int(place.from.pointee.first_row + place.row)
            sources[slot] = Int32(truncatingIfNeeded: part)
        }
        let stored = workplace.stored, selection = workplace.part.selection
        try stored.gather(rows, file: file)
        let columns = workplace.columns ?? batch.columns
        if selection.decodesFields { try workplace.decoder.decode(stored, into: columns, file: file) }
        try workplace.extras.write(columns, stored, slots: UnsafePointer(slots?.baseAddress), into: batch)
        if let features = selection.features {
            inputs[part] = try input(features, workplace, columns, file: file)
            if !isJagged || workplaces.count == 1 { try write(features.assembler, part, into: batch) }
        }
    }

    /// What the features of the rows of a dataset are computed from.
    private func input(
        _ features: FeatureSelection, _ workplace: Workplace, _ columns: JetColumns, file: String
    ) throws -> FeatureInput {
        let stored = workplace.stored, count = stored.constituents, angles = workplace.angles, axes = workplace.axes
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
        for (index, field) in features.stored.enumerated() {
            workplace.table[index] = floats(field)
            let type = columns.elementType(of: field)
            guard type != .float32 else { continue }
            let numbers = workplace.numbers[index].floats(count)
            JetColumn(UnsafeRawPointer(columns.fields[field].base), type: type).copy(
                into: UnsafeMutableBufferPointer(start: numbers, count: count))
            workplace.table[index] = UnsafePointer(numbers)
        }
        input.fieldTable = UnsafePointer(workplace.table.baseAddress)
        input.puppiWeight = features.puppiWeight.map(floats)
        if let axis = features.storedAxis {
            input.jetPt = floats(axis[0])
            input.jetEta = floats(axis[1])
            input.jetPhi = floats(axis[2])
        }
        if let axis = features.axis {
            axes.reserve(stored.rows * MemoryLayout<JetAxis>.stride)
            let all = axes.base.assumingMemoryBound(to: JetAxis.self)
            let (eta, phi, pt, mass) = (floats(axis.eta), floats(axis.phi), axis.pt.map(floats), axis.mass.map(floats))
            for row in 0..<stored.rows {
                all[row] = JetAxis(
                    pt: Double(pt?[row] ?? 0), eta: Double(eta[row]), phi: Double(phi[row]), energy: 0)
                if let mass { all[row].energy = all[row].energy(mass: Double(mass[row])) }
            }
            input.axes = UnsafePointer(all)
        }
        return input
    }

    private func write(_ assembler: FeatureAssembler, _ part: Int, into batch: Batch) throws {
        let workplace = workplaces[part], input = inputs[part], stored = workplace.stored, rows = stored.rows
        let length = assembler.configuration.padLength, width = assembler.configuration.features.count
        guard let offsets = UnsafePointer(stored.offsetNumbers.baseAddress) else { return }
        if isJagged {
            batch.featureValues.reserve(stored.constituents * width * 4)
            batch.featureEnds.reserve((rows + 1) * 4)
            let ends = batch.featureEnds.base.assumingMemoryBound(to: Int32.self)
            ends[0] = 0
            let count = try assembler.assembleJagged(
                input, rows: rows, offsets: offsets,
                values: batch.featureValues.base.assumingMemoryBound(to: Float.self), outputOffsets: ends)
            batch.featureCounts = (count * width, 0, rows + 1)
            return
        }
        batch.featureCounts = (batch.rows * length * width, batch.rows * length, 0)
        batch.featureValues.reserve(batch.featureCounts.values * 4)
        batch.featureMask.reserve(batch.featureCounts.flags)
        // Only in a mixture do rows go elsewhere than in their order.
        let slots = workplaces.count > 1 ? UnsafePointer(workplace.slots.base.assumingMemoryBound(to: Int32.self)) : nil
        try assembler.assemble(
            input, rows: rows, offsets: offsets, slots: slots,
            values: batch.featureValues.base.assumingMemoryBound(to: Float.self),
            mask: batch.featureMask.base.assumingMemoryBound(to: UInt8.self))
    }

    /// Jagged features of a mixture, row by row in the order of the batch.
    private func writeJagged(into batch: Batch) throws {
        guard let width = workplaces[0].part.selection.features?.assembler.configuration.features.count else { return }
        batch.featureValues.reserve(workplaces.reduce(0) { $0 + $1.stored.constituents } * width * 4)
        batch.featureEnds.reserve((row + 1) * 4)
        let ends = batch.featureEnds.base.assumingMemoryBound(to: Int32.self)
        ends[0] = 0
        for part in workplaces.indices { counts[part] = 0 }
        for slot in 0..<row {
            let part = Int(batch.datasets[slot]), index = counts[part], workplace = workplaces[part]
            counts[part] += 1
            guard let assembler = workplace.part.selection.features?.assembler,
                let offsets = UnsafePointer(workplace.stored.offsetNumbers.baseAddress)
            else { continue }
            try assembler.assembleJagged(
                inputs[part].from(jet: index), rows: 1, offsets: offsets + index,
                values: batch.featureValues.base.assumingMemoryBound(to: Float.self), outputOffsets: ends + slot)
        }
        batch.featureCounts = (Int(ends[row]) * width, 0, row + 1)
    }

    /// Copies the columns of all datasets of a mixture together, each row to its place.
    private func merge(into batch: Batch) {
        guard !batch.names.isEmpty else { return }
        merged.reserve((row + 1) * 4)
        let ends = merged.elements(Int32.self, count: row + 1)
        ends[0] = 0
        for (part, workplace) in workplaces.enumerated() {
            guard let columns = workplace.columns else { continue }
            let slots = workplace.slots.elements(Int32.self, count: counts[part]), offsets = columns.offsetNumbers
            for (index, slot) in slots.enumerated() { ends[Int(slot) + 1] = offsets[index + 1] - offsets[index] }
        }
        for slot in 0..<row { ends[slot + 1] += ends[slot] }
        batch.columns.resize(rows: row, constituents: Int(ends[row]))
        batch.columns.offsets.base.copyMemory(from: merged.base, byteCount: (row + 1) * 4)
        for (part, workplace) in workplaces.enumerated() {
            guard let columns = workplace.columns, counts[part] > 0 else { continue }
            let slots = workplace.slots.elements(Int32.self, count: counts[part])
            for (name, target) in batch.names {
                guard let source = workplace.part.selection.names[name] else { continue }
                batch.columns.scatter(field: target, from: columns, field: source, to: UnsafeBufferPointer(slots))
            }
        }
    }
}

extension FeatureInput {
    /// The same columns of constituents, and those of jets from one of them on.
    fileprivate func from(jet: Int) -> FeatureInput {
        var input = self
        input.axes = axes.map { $0 + jet }
        input.jetPt = jetPt.map { $0 + jet }
        input.jetEta = jetEta.map { $0 + jet }
        input.jetPhi = jetPhi.map { $0 + jet }
        return input
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
