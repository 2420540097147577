import Kernels
import ROOTFile
import Shards
import Support

/// Makes the rows of chosen jets from the branches of some events: links, four-momenta, order.
struct RowMaker {
    private let branches: PFNanoBranches
    private let values: [ROOTValues]
    private let taken: PackedBits
    private let most: Int
    private let fields: [SourceField]
    private let firstEvent: Int
    private let jetOffsets: UnsafeBufferPointer<Int64>
    private let linkOffsets: UnsafeBufferPointer<Int64>
    private let candidateOffsets: UnsafeBufferPointer<Int64>

    /// - Parameters:
    ///   - values: Of `branches.values`, for the events from `firstEvent` on.
    ///   - taken: Whether each jet of these is taken.
    ///   - fields: Of the schema.
    init(
        branches: PFNanoBranches, values: [ROOTValues], taken: PackedBits, most: Int, fields: [SourceField],
        firstEvent: Int
    ) throws {
        self.branches = branches
        self.values = values
        self.taken = taken
        self.most = most
        self.fields = fields
        self.firstEvent = firstEvent
        func common(_ places: [Int], _ what: String) throws -> UnsafeBufferPointer<Int64>? {
            guard let first = places.first.flatMap({ values[$0].offsets }) else { return nil }
            for place in places.dropFirst() {
                try PFNanoSource.compare(
                    values[place].offsets, first, "branch \(branches.values[place].name)", branches.tree)
            }
            return first
        }
        var jets: [Int] = [], candidates = branches.kinematics
        for place in branches.places {
            if case .jet(let number) = place { jets.append(number) }
            if case .candidate(let number) = place { candidates.append(number) }
        }
        guard let jetOffsets = try common(jets, "jets"),
            let linkOffsets = try common([branches.links.jet, branches.links.candidate], "links"),
            let candidateOffsets = try common(candidates, "candidates"), jetOffsets.last == Int64(taken.count)
        else {
            throw ConvertError(
                .input, file: branches.tree.file.path,
                message: "its collections do not fit those that were looked at first",
                advice: "was the file changed meanwhile?")
        }
        self.jetOffsets = jetOffsets
        self.linkOffsets = linkOffsets
        self.candidateOffsets = candidateOffsets
    }

    /// How many jets are taken.
    var rowCount: Int { taken.setCount }

    private var events: Int { jetOffsets.count - 1 }

    /// The rows.
    func make(_ rows: Range<Int>) throws -> RowSlice {
        let chosen = try constituents()
        var pointers = [UnsafeRawPointer?](repeating: nil, count: fields.count), owners: [AnyObject] = []
        func column(_ field: Int, _ count: Int) -> UnsafeMutableRawPointer {
            let buffer = AlignedBuffer(capacity: count * fields[field].type.width)
            owners.append(buffer)
            pointers[field] = UnsafeRawPointer(buffer.base)
            return buffer.base
        }
        let total = chosen.candidates.count
        let momenta = momenta(chosen)
        for (number, place) in branches.places.enumerated() {
            let type = fields[number].type
            switch place {
            case .absent: break
            case .event(let source):
                let target = column(number, rows.count)
                for (row, event) in chosen.events.enumerated() { values[source].convert(event, to: type, target, row) }
            case .jet(let source):
                let target = column(number, rows.count)
                for (row, jet) in chosen.jets.enumerated() { values[source].convert(jet, to: type, target, row) }
            case .candidate(let source):
                gather(values[source], chosen.candidates, momenta.order, to: type, column(number, total))
            case .momentum(let component):
                let target = column(number, total).assumingMemoryBound(to: Float.self)
                withExtendedLifetime(momenta.components) {
                    let from = momenta.components[component].base.assumingMemoryBound(to: Float.self)
                    for (place, index) in momenta.order.enumerated() { target[place] = from[Int(index)] }
                }
            }
        }
        func columns(_ isWanted: (ColumnRole) -> Bool) -> [UnsafeRawPointer?] {
            fields.indices.filter { isWanted(fields[$0].role) }.map { pointers[$0] }
        }
        let band = RowSlice.Band(rows: rows, offsets: chosen.offsets, columns: columns { $0 == .constituent })
        return RowSlice(rows: rows, bands: [band], jetColumns: columns { $0 != .constituent }, owners: owners)
    }

    private func gather(
        _ source: ROOTValues, _ candidates: [Int32], _ order: [UInt32], to type: ElementType,
        _ target: UnsafeMutableRawPointer
    ) {
        if source.element == .float32, type == .float32 {
            let from = source.values(as: Float.self), to = target.assumingMemoryBound(to: Float.self)
            for (place, index) in order.enumerated() { to[place] = from[Int(candidates[Int(index)])] }
        } else if source.element == .int32, type == .float32 {
            let from = source.values(as: Int32.self), to = target.assumingMemoryBound(to: Float.self)
            for (place, index) in order.enumerated() { to[place] = Float(from[Int(candidates[Int(index)])]) }
        } else {
            for (place, index) in order.enumerated() {
                source.convert(Int(candidates[Int(index)]), to: type, target, place)
            }
        }
    }

    /// Which candidates each chosen jet has, in the order of the links.
    private struct Constituents {
        var events: [Int] = []
        /// Numbers of the jets among all of the slice.
        var jets: [Int] = []
        /// Where each row's constituents begin, and the end of the last one's.
        var offsets = [0]
        /// Numbers of the candidates among all of the slice.
        var candidates: [Int32] = []
    }

    private func constituents() throws -> Constituents {
        var found = Constituents()
        let owners = values[branches.links.jet].values(as: Int32.self)
        let indices = values[branches.links.candidate].values(as: Int32.self)
        // For each jet of an event its row there, or -1; then how many links it has.
        var rowOfJet: [Int] = [], next: [Int] = []
        for event in 0..<events {
            let jets = Int(jetOffsets[event])..<Int(jetOffsets[event + 1])
            let firstRow = found.jets.count
            rowOfJet.removeAll(keepingCapacity: true)
            for jet in jets {
                rowOfJet.append(taken[jet] ? found.jets.count - firstRow : -1)
                if taken[jet] {
                    found.jets.append(jet)
                    found.events.append(event)
                }
            }
            let rows = found.jets.count - firstRow
            guard rows > 0 else { continue }
            let links = Int(linkOffsets[event])..<Int(linkOffsets[event + 1])
            next = [Int](repeating: 0, count: rows)
            for link in links {
                let owner = Int(owners[link])
                if rowOfJet.indices.contains(owner), rowOfJet[owner] >= 0 { next[rowOfJet[owner]] += 1 }
            }
            for row in 0..<rows {
                let count = min(most, next[row]), start = found.offsets[firstRow + row]
                next[row] = start
                found.offsets.append(start + count)
            }
            let end = found.offsets[firstRow + rows]
            found.candidates.append(contentsOf: repeatElement(0, count: end - found.candidates.count))
            let candidates = Int(candidateOffsets[event])..<Int(candidateOffsets[event + 1])
            for link in links {
                let owner = Int(owners[link])
                guard rowOfJet.indices.contains(owner), rowOfJet[owner] >= 0 else { continue }
                let row = rowOfJet[owner]
                guard next[row] < found.offsets[firstRow + row + 1] else { continue }
                let index = Int(indices[link])
                guard index >= 0, index < candidates.count else {
                    throw ConvertError(
                        .input, file: branches.tree.file.path,
                        place: "tree \(branches.tree.name), entry \(firstEvent + event), "
                            + "branch \(branches.values[branches.links.candidate].name)",
                        message: "names candidate \(index), there are \(candidates.count)")
                }
                found.candidates[next[row]] = Int32(truncatingIfNeeded: candidates.lowerBound + index)
                next[row] += 1
            }
        }
        return found
    }

    /// Momenta of the candidates as they come, and the order in which jets have them.
    private struct Momenta {
        var components: [AlignedBuffer]
        var order: [UInt32]
    }

    private func momenta(_ chosen: Constituents) -> Momenta {
        let count = chosen.candidates.count
        let inputs = branches.kinematics.map { number in
            let buffer = AlignedBuffer(capacity: count * 4)
            let from = values[number].values(as: Float.self), to = buffer.base.assumingMemoryBound(to: Float.self)
            for (place, candidate) in chosen.candidates.enumerated() { to[place] = from[Int(candidate)] }
            return buffer
        }
        let outputs = (0..<4).map { _ in AlignedBuffer(capacity: count * 4) }
        var order = [UInt32](repeating: 0, count: count)
        let keys = AlignedBuffer()
        func floats(_ buffer: AlignedBuffer) -> UnsafeMutablePointer<Float> {
            buffer.base.assumingMemoryBound(to: Float.self)
        }
        // Pointers into buffers do not keep them alive.
        withExtendedLifetime((inputs, outputs, keys)) {
            pando_momenta(
                count, floats(inputs[0]), floats(inputs[1]), floats(inputs[2]), floats(inputs[3]), floats(outputs[0]),
                floats(outputs[1]), floats(outputs[2]), floats(outputs[3]))
            order.withUnsafeMutableBufferPointer { order in
                guard let base = order.baseAddress else { return }
                for (start, end) in zip(chosen.offsets, chosen.offsets.dropFirst()) where end > start {
                    keys.reserve((end - start) * 8)
                    pando_order(
                        end - start, floats(outputs[0]) + start, floats(outputs[1]) + start,
                        keys.base.assumingMemoryBound(to: UInt64.self), base + start)
                    for place in start..<end { base[place] += UInt32(start) }
                }
            }
        }
        return Momenta(components: outputs, order: order)
    }
}
