/// A value in a checkpoint.
///
/// Containers are looks at what the checkpoint holds: they cost nothing to pass on, may be deep, and may lead back to where one
/// came from, as OmegaConf's nodes do to their parents; whoever walks through them all should count the depth.
///
/// Classes of Python's that this room does not know are `object`s: name, arguments and state, of which nothing was run. Two are
/// seen for what they hold: OmegaConf's containers and nodes as the dictionaries, lists and values in them, paths as texts.
public enum PickleValue: Sendable {
    case none
    case bool(Bool)
    case integer(Int64)
    /// An integer beyond 64 bits: two's complement, little-endian.
    case longInteger([UInt8])
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case list(PickleList)
    case tuple(PickleList)
    case set(PickleList)
    case dictionary(PickleDictionary)
    case tensor(StoredTensor)
    case storage(TensorStorage)
    /// A class or function by its name, for example `torch.optim.adamw.AdamW`.
    case global(String)
    case object(PickleObject)

    /// The truth value; nil if this is none.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// The whole number; nil if this is none.
    public var int: Int? { if case .integer(let value) = self { Int(value) } else { nil } }

    /// The number, whole or not; nil if this is none.
    public var double: Double? {
        switch self {
        case .double(let value): value
        case .integer(let value): Double(exactly: value)
        default: nil
        }
    }

    /// The text; nil if this is none.
    public var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The elements of a list, tuple or set, or of an object of a class that is a list besides; nil if this is none.
    public var list: PickleList? {
        switch self {
        case .list(let items), .tuple(let items), .set(let items): items
        case .object(let object) where !object.items.isEmpty: object.items
        default: nil
        }
    }

    /// The dictionary, or the entries of an object of a class that is one besides; nil if this is none.
    public var dictionary: PickleDictionary? {
        switch self {
        case .dictionary(let dictionary): dictionary
        case .object(let object) where !object.entries.isEmpty: object.entries
        default: nil
        }
    }

    /// The tensor; nil if this is none.
    public var tensor: StoredTensor? { if case .tensor(let tensor) = self { tensor } else { nil } }

    /// The object of an unknown class; nil if this is none.
    public var object: PickleObject? { if case .object(let object) = self { object } else { nil } }

    /// Whether this is Python's `None`.
    public var isNone: Bool { if case .none = self { true } else { false } }

    /// An entry of a dictionary; nil if this is none, or has none of that name.
    public subscript(name: String) -> PickleValue? { dictionary?[name] }

    /// An element of a list, tuple or set; nil if this is none, or has not so many.
    public subscript(position: Int) -> PickleValue? {
        guard let list, list.indices.contains(position) else { return nil }
        return list[position]
    }

    /// What this is, in a few words, for messages.
    public var summary: String {
        switch self {
        case .none: "None"
        case .bool: "a truth value"
        case .integer, .longInteger: "an integer"
        case .double: "a number"
        case .string: "a text"
        case .bytes: "bytes"
        case .list(let items): "a list of \(items.count)"
        case .tuple(let items): "a tuple of \(items.count)"
        case .set(let items): "a set of \(items.count)"
        case .dictionary(let entries): "a dictionary of \(entries.count)"
        case .tensor(let tensor): "a tensor of \(tensor.type.rawValue) \(tensor.shape)"
        case .storage(let storage): "a storage (\(storage.className))"
        case .global(let name): "the class or function \(name)"
        case .object(let object): "an object of \(object.name)"
        }
    }
}

/// The elements of a list, tuple or set.
public struct PickleList: RandomAccessCollection, Sendable {
    private let graph: SharedGraph
    private let items: [PickleGraph.Item]

    init(_ graph: SharedGraph, _ items: [PickleGraph.Item]) {
        self.graph = graph
        self.items = items
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { items.count }
    public subscript(position: Int) -> PickleValue { graph.value(items[position]) }
}

/// The entries of a dictionary, in the order in which they were stored.
public struct PickleDictionary: RandomAccessCollection, Sendable {
    private let graph: SharedGraph
    private let pairs: [PickleGraph.Pair]

    init(_ graph: SharedGraph, _ pairs: [PickleGraph.Pair]) {
        self.graph = graph
        self.pairs = pairs
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { pairs.count }
    public subscript(position: Int) -> (key: PickleValue, value: PickleValue) {
        (graph.value(pairs[position].key), graph.value(pairs[position].value))
    }

    /// The value for a text; nil if there is none. Walks through the entries.
    public subscript(name: String) -> PickleValue? {
        pairs.last { graph.graph.text($0.key)?.utf8.elementsEqual(name.utf8) ?? false }.map { graph.value($0.value) }
    }

    /// The value for a whole number, as for the parameters of optimizers; nil if there is none. Walks through the entries.
    public func value(forNumber number: Int) -> PickleValue? {
        pairs.last { graph.graph.integer($0.key) == number }.map { graph.value($0.value) }
    }

    /// The keys that are texts.
    public var names: [String] { pairs.compactMap { graph.graph.text($0.key) } }
}

/// An object of a class that this room does not know. Nothing of it was ever run.
public struct PickleObject: Sendable {
    private let graph: SharedGraph
    private let object: PickleGraph.Object

    init(_ graph: SharedGraph, _ object: PickleGraph.Object) {
        self.graph = graph
        self.object = object
    }

    /// Module and name of the class, or of the function that was to make the object: `functools.partial`.
    public var name: String { graph.graph.global(object.maker).map(graph.name) ?? "" }
    /// What it was to be made of.
    public var arguments: PickleList { PickleList(graph, graph.graph.tuple(object.arguments) ?? []) }
    /// What it was to be made of by name; `None` if nothing.
    public var keywords: PickleValue { graph.value(object.keywords) }
    /// What it was to take over then; `None` if nothing.
    public var state: PickleValue { graph.value(object.state) }
    /// What was to be appended to it, as to a list.
    public var items: PickleList { PickleList(graph, object.items) }
    /// What was to be stored in it, as in a dictionary.
    public var entries: PickleDictionary { PickleDictionary(graph, object.pairs) }

    /// For an object of `functools.partial`: the class or function, and its arguments by name.
    public var partial: (function: String, keywords: PickleDictionary)? {
        guard name == "functools.partial", case .global(let function)? = state[0], let keywords = state[2]?.dictionary
        else { return nil }
        return (function, keywords)
    }
}

/// A pickle's content, shared by all values that look at it.
final class SharedGraph: Sendable {
    let graph: PickleGraph

    init(_ graph: PickleGraph) { self.graph = graph }

    /// The whole.
    var root: PickleValue { value(graph.root) }

    func value(_ item: PickleGraph.Item) -> PickleValue {
        switch item {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .double(let value): return .double(value)
        case .node(let number): return value(graph.nodes[Int(number)])
        }
    }

    private func value(_ node: PickleGraph.Node) -> PickleValue {
        switch node {
        case .text(let text): .string(text)
        case .bytes(let bytes): .bytes(bytes)
        case .longInteger(let digits): .longInteger(digits)
        case .list(let items): .list(PickleList(self, items))
        case .tuple(let items): .tuple(PickleList(self, items))
        case .set(let items): .set(PickleList(self, items))
        case .dictionary(let pairs): .dictionary(PickleDictionary(self, pairs))
        case .global(let number): .global(name(graph.globals[Int(number)]))
        case .storage(let number): .storage(graph.storages[Int(number)])
        case .tensor(let number): .tensor(graph.tensors[Int(number)])
        case .object(let number): value(graph.objects[Int(number)])
        }
    }

    private func value(_ object: PickleGraph.Object) -> PickleValue {
        guard let maker = graph.global(object.maker) else { return .object(PickleObject(self, object)) }
        if maker.module.hasPrefix("omegaconf"), let held = held(by: object) { return held }
        if maker.module.hasPrefix("pathlib"), let path = path(object) { return .string(path) }
        return .object(PickleObject(self, object))
    }

    /// What a container or node of OmegaConf's holds. Content and values are no such nodes themselves, or are not looked into.
    private func held(by object: PickleGraph.Object) -> PickleValue? {
        guard case .dictionary(let state)? = graph.node(object.state) else { return nil }
        guard let found = state.last(where: { ["_content", "_val"].contains(graph.text($0.key)) })?.value else {
            return nil
        }
        guard case .node(let number) = found else { return value(found) }
        let node = graph.nodes[Int(number)]
        if case .object(let inner) = node { return .object(PickleObject(self, graph.objects[Int(inner)])) }
        return value(node)
    }

    /// The parts of a path, joined.
    private func path(_ object: PickleGraph.Object) -> String? {
        guard let items = graph.tuple(object.arguments) else { return nil }
        let parts = items.compactMap { graph.text($0) }
        guard parts.count == items.count, let first = parts.first else { return nil }
        return parts.dropFirst().reduce(first) { $0.hasSuffix("/") ? $0 + $1 : "\($0)/\($1)" }
    }

    func name(_ global: PickleGraph.Global) -> String { "\(global.module).\(global.name)" }
}
