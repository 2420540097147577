import Support

/// Reads a pickle without ever calling anything: classes and functions that it names become inert nodes with their arguments.
///
/// Only tensors, storages and Python's own containers are understood. Every opcode takes at least a byte and makes at most one
/// node, so that memory is bounded by the pickle's length, and by `Limits` beyond that.
struct Unpickler {
    /// What no honest checkpoint needs.
    struct Limits {
        var nodes = 10_000_000
        var stack = 10_000_000
        var memo = 10_000_000
        /// Elements copied when containers are made from others.
        var copies = 10_000_000
    }

    private let bytes: UntrustedBytes
    private let limits: Limits
    private var position = 0
    private var stack: [PickleGraph.Item] = []
    /// Heights of the stack at which open collections begin.
    private var marks: [Int] = []
    private var memo: [UInt64: PickleGraph.Item] = [:]
    private var maker: PickleMaker

    /// Reads a pickle that lies in `bytes`.
    static func read(
        _ bytes: UnsafeRawBufferPointer, limits: Limits = Limits()
    ) throws(SafeTensorsError) -> PickleGraph {
        var unpickler = Unpickler(bytes, limits)
        do throws(SafeTensorsError) { return try unpickler.run() } catch {
            throw error.inside("byte \(unpickler.position)")
        }
    }

    private init(_ bytes: UnsafeRawBufferPointer, _ limits: Limits) {
        self.bytes = UntrustedBytes(bytes)
        self.limits = limits
        maker = PickleMaker(limits: limits)
    }

    private mutating func run() throws(SafeTensorsError) -> PickleGraph {
        while true {
            let start = position
            let code = try number(UInt8.self)
            guard let opcode = PickleOpcode(rawValue: code) else {
                position = start
                guard let name = PickleOpcode.name(code) else { throw damaged("no opcode has the number \(code)") }
                throw SafeTensorsError(
                    .unsupported, message: "opcode \(name) of the pickle protocol",
                    advice: "save the checkpoint again with torch.save and a recent PyTorch")
            }
            if opcode == .stop {
                maker.graph.root = try pop()
                return maker.graph
            }
            try run(opcode)
            guard stack.count <= limits.stack, marks.count <= limits.stack, memo.count <= limits.memo,
                maker.graph.nodes.count <= limits.nodes
            else {
                throw SafeTensorsError(.limit, message: "more than \(limits.nodes) values")
            }
        }
    }

    private mutating func run(_ opcode: PickleOpcode) throws(SafeTensorsError) {
        switch opcode {
        case .stop: break
        case .proto:
            let version = try number(UInt8.self)
            guard version <= 5 else {
                throw SafeTensorsError(.unsupported, message: "pickle protocol \(version), the newest known is 5")
            }
        case .frame: _ = try count(UInt64.self)
        case .mark: marks.append(stack.count)
        case .pop:
            if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
        case .popMark: _ = try popToMark()
        case .duplicate: stack.append(try top())

        case .none: stack.append(.none)
        case .newTrue: stack.append(.bool(true))
        case .newFalse: stack.append(.bool(false))
        case .int32: stack.append(.integer(Int64(try number(Int32.self))))
        case .uint8: stack.append(.integer(Int64(try number(UInt8.self))))
        case .uint16: stack.append(.integer(Int64(try number(UInt16.self))))
        case .long1: try pushLong(Int(try number(UInt8.self)))
        case .long4: try pushLong(try count(UInt32.self))
        case .float: stack.append(.double(Double(bitPattern: try number(UInt64.self).byteSwapped)))
        case .text8: try pushText(try count(UInt8.self))
        case .text32: try pushText(try count(UInt32.self))
        case .text64: try pushText(try count(UInt64.self))
        case .oldText8: try pushOldText(try count(UInt8.self))
        case .oldText32: try pushOldText(try count(UInt32.self))
        case .bytes8: push(.bytes(Array(try take(try count(UInt8.self)))))
        case .bytes32: push(.bytes(Array(try take(try count(UInt32.self)))))
        case .bytes64, .byteArray64: push(.bytes(Array(try take(try count(UInt64.self)))))

        case .emptyList: push(.list([]))
        case .emptyTuple: push(.tuple([]))
        case .emptyDictionary: push(.dictionary([]))
        case .emptySet: push(.set([]))
        case .list: push(.list(try popToMark()))
        case .tuple: push(.tuple(try popToMark()))
        case .tuple1: push(.tuple(try pop(1)))
        case .tuple2: push(.tuple(try pop(2)))
        case .tuple3: push(.tuple(try pop(3)))
        case .dictionary: push(.dictionary(try Self.pairs(try popToMark())))
        case .frozenSet: push(.set(try popToMark()))

        case .append:
            let item = try pop()
            try maker.append([item], to: try top())
        case .appends, .addItems:
            let items = try popToMark()
            try maker.append(items, to: try top())
        case .setItem:
            let parts = try pop(2)
            try maker.store(try Self.pairs(parts), in: try top())
        case .setItems:
            let parts = try popToMark()
            try maker.store(try Self.pairs(parts), in: try top())

        case .put8: memo[UInt64(try number(UInt8.self))] = try top()
        case .put32: memo[UInt64(try number(UInt32.self))] = try top()
        case .memoize: memo[UInt64(memo.count)] = try top()
        case .get8: try pushMemo(UInt64(try number(UInt8.self)))
        case .get32: try pushMemo(UInt64(try number(UInt32.self)))

        case .global:
            let module = try line()
            stack.append(maker.global(module: module, name: try line()))
        case .stackGlobal:
            let parts = try pop(2)
            guard let module = maker.graph.text(parts[0]), let name = maker.graph.text(parts[1]) else {
                throw damaged("a class without a name")
            }
            stack.append(maker.global(module: module, name: name))
        case .persistentID: stack.append(try maker.storage(try pop()))
        case .reduce, .newObject:
            let parts = try pop(2)
            stack.append(try maker.make(parts[0], arguments: parts[1]))
        case .newObjectWithKeywords:
            let parts = try pop(3)
            stack.append(try maker.make(parts[0], arguments: parts[1], keywords: parts[2]))
        case .build:
            let state = try pop()
            maker.setState(state, of: try top())
        }
    }

    // MARK: The stack

    private func top() throws(SafeTensorsError) -> PickleGraph.Item {
        // What lies below the last mark belongs to somebody else.
        guard stack.count > marks.last ?? 0, let item = stack.last else { throw damaged("a value is missing") }
        return item
    }

    private mutating func pop() throws(SafeTensorsError) -> PickleGraph.Item {
        let item = try top()
        stack.removeLast()
        return item
    }

    private mutating func pop(_ count: Int) throws(SafeTensorsError) -> [PickleGraph.Item] {
        guard stack.count - (marks.last ?? 0) >= count else { throw damaged("\(count) values were expected") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(SafeTensorsError) -> [PickleGraph.Item] {
        guard let mark = marks.popLast(), mark <= stack.count else { throw damaged("no collection is open") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private static func pairs(_ parts: [PickleGraph.Item]) throws(SafeTensorsError) -> [PickleGraph.Pair] {
        guard parts.count.isMultiple(of: 2) else {
            throw SafeTensorsError(.damaged, message: "a key without a value", advice: copyAgain)
        }
        return stride(from: 0, to: parts.count, by: 2).map { PickleGraph.Pair(key: parts[$0], value: parts[$0 + 1]) }
    }

    private mutating func push(_ node: PickleGraph.Node) { stack.append(maker.add(node)) }

    private mutating func pushMemo(_ key: UInt64) throws(SafeTensorsError) {
        guard let item = memo[key] else { throw damaged("refers to value \(key), which there is not") }
        stack.append(item)
    }

    private mutating func pushText(_ count: Int) throws(SafeTensorsError) {
        // Python's texts may hold halves of surrogate pairs, which become replacement characters.
        push(.text(String(decoding: try take(count), as: UTF8.self)))
    }

    /// What Python 2 took for text.
    private mutating func pushOldText(_ count: Int) throws(SafeTensorsError) {
        let bytes = try take(count)
        if let text = String(validating: bytes, as: UTF8.self) { push(.text(text)) } else { push(.bytes(Array(bytes))) }
    }

    /// Two's complement of any length.
    private mutating func pushLong(_ count: Int) throws(SafeTensorsError) {
        let digits = try take(count)
        guard count <= 8 else { return push(.longInteger(Array(digits))) }
        var value: UInt64 = 0
        for (place, byte) in digits.enumerated() { value |= UInt64(byte) << UInt64(place * 8) }
        let unused = UInt64(64 - count * 8)
        stack.append(.integer(count == 0 ? 0 : Int64(bitPattern: value << unused) >> Int64(unused)))
    }

    // MARK: The bytes

    private mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(SafeTensorsError) -> Number {
        guard let value = bytes.load(type, at: position) else { throw truncated(MemoryLayout<Number>.size) }
        position += MemoryLayout<Number>.size
        return value
    }

    /// The length of something that follows.
    private mutating func count<Number: FixedWidthInteger>(_ type: Number.Type) throws(SafeTensorsError) -> Int {
        let value = try number(type)
        guard value <= bytes.count - position else { throw truncated(value) }
        return Int(value)
    }

    private mutating func take(_ count: Int) throws(SafeTensorsError) -> UnsafeRawBufferPointer {
        guard let found = bytes.slice(at: position, length: count) else { throw truncated(count) }
        position += count
        return found.bytes
    }

    private mutating func line() throws(SafeTensorsError) -> String {
        guard let end = bytes.bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw truncated(1) }
        let text = String(decoding: try take(end - position), as: UTF8.self)
        position += 1
        return text
    }

    private func damaged(_ message: String) -> SafeTensorsError {
        SafeTensorsError(.damaged, message: message, advice: copyAgain)
    }

    private func truncated(_ count: some FixedWidthInteger) -> SafeTensorsError {
        SafeTensorsError(
            .truncated, message: "\(count) bytes expected, \(bytes.count - position) are left of the pickle")
    }
}
