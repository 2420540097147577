import Foundation
import Support
import Synchronization

/// The counting branches of a tree that were found so far: each is parsed once, however many branches it counts.
final class CounterMemo: Sendable {
    private let columns = Mutex<[Int: ROOTColumn]>([:])
    private let branches = Mutex<[Int: BranchRecord]>([:])

    /// The column of the counter in a slot.
    func column(_ slot: Int, _ find: () throws(ROOTError) -> ROOTColumn) throws(ROOTError) -> ROOTColumn {
        if let known = columns.withLock({ $0[slot] }) { return known }
        let found = try find()
        columns.withLock { $0[slot] = found }
        return found
    }

    /// The record of a branch that counters lie in.
    func branch(_ slot: ObjectPayload.ObjectSlot, of payload: ObjectPayload) throws(ROOTError) -> BranchRecord {
        if let known = branches.withLock({ $0[slot.position] }) { return known }
        let found = try BranchRecord(slot, of: payload)
        branches.withLock { $0[slot.position] = found }
        return found
    }
}

/// Finds out what the leaves of branches hold and how, and who counts it.
struct ColumnResolver {
    let record: TreeRecord
    let counters: CounterMemo
    /// The file's streamer infos, read when they are first needed.
    let streamers: () throws(ROOTError) -> StreamerInfos?

    private var payload: ObjectPayload { record.payload }

    /// What a leaf's values are.
    private struct Kind {
        var element: ROOTElement
        var packing: PackedFloat?
        var layout: ROOTColumn.Layout?
    }

    /// The columns of a branch, one a leaf.
    /// - Throws: `ROOTError` with code `unsupported` that says what was found.
    func columns(of branch: BranchRecord, path: String, isTop: Bool) throws(ROOTError) -> [ROOTColumn] {
        // Masters of split collections hold how many items there are.
        let isMaster = branch.element.map { $0.type == 3 || $0.type == 4 } ?? false
        if isMaster || !branch.branches.isEmpty {
            guard isMaster else {
                throw Self.unsupported("a node of sub-branches without values of its own", "read its sub-branches")
            }
            return [try column(branch, path, Kind(element: .int32), shape: [], .fixed(stride: 4, offset: 0), [])]
        }
        var leaves: [LeafRecord] = []
        for slot in branch.leaves { leaves.append(try LeafRecord(slot, of: payload)) }
        guard !leaves.isEmpty else { throw Self.unsupported("a branch of class \(branch.className) without leaves") }
        guard leaves.count > 1 else { return [try column(branch, path, leaves[0], isTop: isTop)] }
        // A packed struct an entry.
        var parts: [(leaf: LeafRecord, kind: Kind, shape: [Int], offset: Int)] = []
        var stride = 0
        for leaf in leaves {
            let kind = try kind(of: leaf, branch, isTop: isTop)
            guard kind.layout == nil, leaf.counterSlot == nil else {
                throw Self.unsupported("several leaves of which '\(leaf.name)' has no fixed size")
            }
            let shape = try leaf.shape()
            parts.append((leaf, kind, shape, stride))
            stride += shape.reduce(1, *) * (kind.packing?.width ?? kind.element.width)
        }
        var columns: [ROOTColumn] = []
        for part in parts {
            let layout = ROOTColumn.Layout.fixed(stride: stride, offset: part.offset)
            columns.append(
                try column(branch, "\(path)/\(part.leaf.name)", part.kind, shape: part.shape, layout, []))
        }
        return columns
    }

    private func column(
        _ branch: BranchRecord, _ path: String, _ leaf: LeafRecord, isTop: Bool
    ) throws(ROOTError) -> ROOTColumn {
        let kind = try kind(of: leaf, branch, isTop: isTop)
        let isCounted = leaf.counterSlot != nil || branch.element?.counterSlot != nil
        switch kind.layout {
        case .string?, .vector?:
            guard !isCounted else { throw Self.unsupported("texts or vectors inside a split collection") }
            return try column(branch, path, kind, shape: [], kind.layout ?? .vector, [])
        case .countedPointer?:
            return try column(branch, path, kind, shape: [], .countedPointer, [])
        default: break
        }
        let shape = try leaf.shape()
        let bytes = shape.reduce(1, *) * (kind.packing?.width ?? kind.element.width)
        guard bytes > 0 else { throw Self.unsupported("entries of no size, '\(leaf.title)'") }
        guard isCounted else {
            return try column(branch, path, kind, shape: shape, .fixed(stride: bytes, offset: 0), [])
        }
        return try column(branch, path, kind, shape: shape, .counted, [try counter(of: leaf, branch)])
    }

    private func column(
        _ branch: BranchRecord, _ path: String, _ kind: Kind, shape: [Int], _ layout: ROOTColumn.Layout,
        _ counters: [ROOTColumn]
    ) throws(ROOTError) -> ROOTColumn {
        ROOTColumn(
            name: path, title: branch.title, element: kind.element, shape: shape, entries: branch.entries,
            bytes: branch.totalBytes, storedBytes: branch.storedBytes, compression: branch.compression, layout: layout,
            packing: kind.packing, baskets: try BasketTable(branch, of: payload), counters: counters, slot: branch.slot)
    }

    private func kind(of leaf: LeafRecord, _ branch: BranchRecord, isTop: Bool) throws(ROOTError) -> Kind {
        switch leaf.className {
        case "TLeafO": return Kind(element: .bool)
        case "TLeafB": return Kind(element: leaf.isUnsigned ? .uint8 : .int8)
        case "TLeafS": return Kind(element: leaf.isUnsigned ? .uint16 : .int16)
        case "TLeafI": return Kind(element: leaf.isUnsigned ? .uint32 : .int32)
        case "TLeafL", "TLeafG": return Kind(element: leaf.isUnsigned ? .uint64 : .int64)
        case "TLeafF": return Kind(element: .float32)
        case "TLeafD": return Kind(element: .float64)
        case "TLeafF16":
            return Kind(element: .float32, packing: PackedFloat(annotation: leaf.title, isHalf: true))
        case "TLeafD32":
            return Kind(element: .float64, packing: PackedFloat(annotation: leaf.title, isHalf: false) ?? .float32)
        case "TLeafC": return Kind(element: .string, layout: .string(header: 0))
        case "TLeafElement":
            guard let element = branch.element else { throw Self.unsupported("a leaf of class TLeafElement alone") }
            return try kind(of: leaf, element, isTop: isTop)
        default: throw Self.unsupported("a leaf of class \(leaf.className)")
        }
    }

    private func kind(
        of leaf: LeafRecord, _ element: BranchRecord.Element, isTop: Bool
    ) throws(ROOTError) -> Kind {
        let code = leaf.elementType
        // 20 is added for fixed arrays, 40 for counted pointers.
        let basic = (41...59).contains(code) ? code - 40 : (21...39).contains(code) ? code - 20 : code
        let layout: ROOTColumn.Layout? = (41...59).contains(code) ? .countedPointer : nil
        if basic == 9 || basic == 19 {
            let title = try member(element)?.title ?? ""
            let packing = PackedFloat(annotation: title, isHalf: basic == 19)
            if basic == 19 { return Kind(element: .float32, packing: packing, layout: layout) }
            return Kind(element: .float64, packing: packing ?? .float32, layout: layout)
        }
        if (1...18).contains(basic), let found = ROOTElement(streamerCode: basic) {
            return Kind(element: found, layout: layout)
        }
        let isWhole = element.id < 0 || isTop
        let name = Self.plainName(isWhole ? element.className : try member(element)?.typeName ?? element.className)
        if name.hasPrefix("vector<"), name.hasSuffix(">"),
            let inside = ROOTElement(typeName: String(name.dropFirst(7).dropLast()))
        {
            return Kind(element: inside, layout: .vector)
        }
        switch name {
        case "string": return Kind(element: .string, layout: .string(header: isWhole ? 0 : 6))
        case "TString": return Kind(element: .string, layout: .string(header: 0))
        default: throw Self.unsupported("values of type \(name.isEmpty ? "\(code)" : String(name.prefix(256)))")
        }
    }

    private func member(_ element: BranchRecord.Element) throws(ROOTError) -> StreamerInfos.Member? {
        guard element.id >= 0 else { return nil }
        return try streamers()?.member(
            element.id, of: element.className, checksum: element.checksum, version: element.classVersion)
    }

    /// A C++ type without what does not matter: namespace std, allocators, spaces.
    static func plainName(_ name: String) -> String {
        var text = name
        for (from, to) in [("std::", ""), ("ROOT::VecOps::RVec<", "vector<"), (" >", ">"), ("< ", "<"), (", ", ",")] {
            text = text.replacing(from, with: to)
        }
        // The second argument of a vector is how it takes memory.
        if text.hasPrefix("vector<"), let comma = text.firstIndex(of: ","), text[comma...].contains("llocator<") {
            text = text[..<comma] + ">"
        }
        return text.trimmingCharacters(in: .whitespaces)
    }

    /// The branch that counts a leaf's items.
    private func counter(of leaf: LeafRecord, _ branch: BranchRecord) throws(ROOTError) -> ROOTColumn {
        guard let slot = branch.element?.counterSlot ?? leaf.counterSlot else { throw Self.noCounter }
        return try counters.column(slot) { () throws(ROOTError) in
            let found: BranchRecord
            if branch.element?.counterSlot != nil {
                found = try BranchRecord(try payload.object(at: slot), of: payload)
            } else {
                guard let top = record.entry(around: slot) else { throw Self.noCounter }
                found = try holder(of: slot, in: counters.branch(top.slot, of: payload), depth: 0)
            }
            guard found.slot != branch.slot else {
                throw ROOTError(.damaged, message: "is counted by itself", advice: ByteCursor.advice)
            }
            return try counter(found)
        }
    }

    private static let noCounter = ROOTError(
        .damaged, message: "the branch that counts it is not there", advice: ByteCursor.advice)

    /// A branch that counts others.
    private func counter(_ found: BranchRecord) throws(ROOTError) -> ROOTColumn {
        let place = "its counter \(found.name)"
        do throws(ROOTError) {
            let isMaster = found.element.map { $0.type == 3 || $0.type == 4 } ?? false
            if isMaster {
                return try column(found, found.name, Kind(element: .int32), shape: [], .fixed(stride: 4, offset: 0), [])
            }
            guard found.leaves.count == 1 else { throw Self.unsupported("a counter with \(found.leaves.count) leaves") }
            let counting = try LeafRecord(found.leaves[0], of: payload)
            let kind = try kind(of: counting, found, isTop: true)
            guard kind.layout == nil, kind.packing == nil, counting.counterSlot == nil, try counting.shape().isEmpty,
                kind.element != .float32, kind.element != .float64, kind.element != .bool
            else { throw Self.unsupported("a counter that is no plain integer") }
            return try column(
                found, found.name, kind, shape: [], .fixed(stride: kind.element.width, offset: 0), [])
        } catch {
            throw error.inside(place)
        }
    }

    /// The branch, this one or one below it, that has the leaf in a slot.
    private func holder(of slot: Int, in branch: BranchRecord, depth: Int) throws(ROOTError) -> BranchRecord {
        if branch.leaves.contains(where: { $0.position == slot }) { return branch }
        // They lie one behind the other.
        var low = 0, high = branch.branches.count
        while low < high {
            let middle = (low + high) / 2
            if branch.branches[middle].body.upperBound <= slot { low = middle + 1 } else { high = middle }
        }
        if depth < 64, low < branch.branches.count, branch.branches[low].position <= slot {
            return try holder(of: slot, in: counters.branch(branch.branches[low], of: payload), depth: depth + 1)
        }
        throw Self.noCounter
    }

    private static func unsupported(_ found: String, _ advice: String? = nil) -> ROOTError {
        ROOTError(.unsupported, message: "\(found): not read", advice: advice)
    }
}
